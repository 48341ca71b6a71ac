"""Seqio tasks and mixtures: what the model reads and writes."""
