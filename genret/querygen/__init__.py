"""Query generation: documents in, synthetic queries out."""
