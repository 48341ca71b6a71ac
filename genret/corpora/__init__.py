"""Readers that turn public collection layouts into one source form."""
