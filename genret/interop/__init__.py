"""Weights of other projects, read into our parameter tree."""
