"""TensorFlow and seqio, kept on the host and quiet.

The one place of this room that imports them. TensorFlow must leave the
accelerators to JAX, which it does only when told before either of them
touches one; so import this module before JAX makes its first array.
"""

import os

from genret.core import chatter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with chatter.without(chatter.TENSORFLOW):
  import seqio
  import tensorflow as tf

  for _kind in ("GPU", "TPU"):
    if tf.config.get_visible_devices(_kind):
      tf.config.set_visible_devices([], _kind)
  tf.constant(0)  # starts the runtime, which has something to say as well

__all__ = ["seqio", "tf"]
