"""The SPMD training program: optimizer, loss, step, loop, checkpoints."""
