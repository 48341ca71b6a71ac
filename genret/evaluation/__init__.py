"""Measures, significance and splits, on runs and qrels alone."""
