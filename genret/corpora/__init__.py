"""Readers of collections as they are published, each checking every line."""
