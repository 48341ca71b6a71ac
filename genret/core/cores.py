"""How many cores there are to share work among."""

import os


def available() -> int:
  """Counts the cores that this process may use, at least one."""
  if hasattr(os, "sched_getaffinity"):  # what taskset or a scheduler left it
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
