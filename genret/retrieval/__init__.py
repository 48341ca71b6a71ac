"""Searchers: queries in, ranked documents out."""
