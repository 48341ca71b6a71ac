"""Grids of experiments: their cells, running them, their tables."""
