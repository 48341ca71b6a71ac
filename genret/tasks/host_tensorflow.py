"""TensorFlow and seqio, kept on the host and quiet.

The one place of this room that imports them. TensorFlow must leave the
accelerators to JAX, which it does only when told before either of them
touches one; so import this module before JAX makes its first array.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# What TensorFlow's C++ says about itself before any level can be set.
_CHATTER = re.compile(
  rb"WARNING: All log messages before absl::InitializeLog"
  rb"|[IWE]\d{4} [\d:. ]+\d+ (port|cudart_stub|cuda_\w+|cpu_feature_guard)\.cc:"
)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
  """Holds back stderr, then gives out all of it but TensorFlow's chatter."""
  try:
    sys.stderr.flush()
    kept = os.dup(2)
  except (OSError, AttributeError):  # there is no stderr
    yield
    return
  with tempfile.TemporaryFile() as held:
    os.dup2(held.fileno(), 2)
    try:
      yield
    finally:
      sys.stderr.flush()
      os.dup2(kept, 2)
      os.close(kept)
      held.seek(0)
      lines = [line for line in held if not _CHATTER.match(line)]
      os.write(2, b"".join(lines))


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with _without_chatter():
  import seqio
  import tensorflow as tf

  for _kind in ("GPU", "TPU"):
    if tf.config.get_visible_devices(_kind):
      tf.config.set_visible_devices([], _kind)
  tf.constant(0)  # starts the runtime, which has something to say as well

__all__ = ["seqio", "tf"]
