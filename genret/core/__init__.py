"""Data types and files that every other room builds on."""
