"""T5.1.1 in flax.linen and its face towards the decoder."""
