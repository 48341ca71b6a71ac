"""Keeps what libraries say about themselves off the terminal."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# What TensorFlow's C++ says about itself before any level can be set.
TENSORFLOW = re.compile(
  rb"WARNING: All log messages before absl::InitializeLog"
  rb"|[IWE]\d{4} [\d:. ]+\d+ (port|cudart_stub|cuda_\w+|cpu_feature_guard)\.cc:"
)
# What Apache Beam says, when it is imported, of a client for Google's storage.
BEAM = re.compile(rb"WARNING:root:apitools not found")


@contextlib.contextmanager
def without(chatter: re.Pattern[bytes]) -> Iterator[None]:
  """Holds back stderr, then gives out all of it but some lines.

  Args:
    chatter: what the lines left out begin with.
  """
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
      lines = [line for line in held if not chatter.match(line)]
      os.write(2, b"".join(lines))
