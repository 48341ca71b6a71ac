"""Comes late to what process 0 has already failed at.

late_peer.py SECONDS
"""

import sys
import time

import jax

from genret.core.errors import UserError
from genret.training import cluster


def fail() -> None:
  raise UserError("the folder is another's")


def main(seconds: str) -> None:
  cluster.join()
  with cluster.together("models/one"):
    time.sleep(float(seconds) * jax.process_index())
    cluster.once(fail)


if __name__ == "__main__":
  main(*sys.argv[1:])
