"""Each stage turns artifacts on disk into the next artifact."""
