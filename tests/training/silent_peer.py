"""Waits for another process that dies without a word.

silent_peer.py FOLDER
"""

import os
import signal
import sys

import jax

from genret.training import cluster


def main(folder: str) -> None:
  cluster.join()
  with cluster.together(folder):
    assert cluster.once(lambda: jax.process_index()) == 0
    gathered = cluster.gather(jax.process_index())
    assert gathered == ([0, 1] if cluster.is_first() else [])
    if jax.process_index() == 1:
      os.kill(os.getpid(), signal.SIGKILL)
    cluster.meet()


if __name__ == "__main__":
  main(*sys.argv[1:])
