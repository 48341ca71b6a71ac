"""Document vectors: encoders that make them, the store that keeps them."""
