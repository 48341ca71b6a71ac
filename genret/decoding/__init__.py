"""Beam search constrained to a trie of docids; knows no model."""
