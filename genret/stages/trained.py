"""What a finished run of training says of itself: states kept, and hashes."""

import hashlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from genret.core import artifacts
from genret.retrieval import model_folder
from genret.training.checkpoints import Checkpoints

RESULT = "result.json"


def write_result(out: Path, checkpoints: Checkpoints) -> None:
  """Writes which states were kept, and the hashes of their parameters.

  One process does; it reads them from disk, whatever devices they lie on.

  Args:
    out: The model folder.
    checkpoints: Those in it, whole.
  """
  newest, best = checkpoints.newest, checkpoints.best
  result = {
    "best_step": best,
    "newest_step": newest,
    "parameters": {
      str(step): digest(checkpoints.restore_params(step))
      for step in sorted({newest, best})
    },
  }
  artifacts.write_json(out / RESULT, result)


def identifying_files(out: Path) -> list[str]:
  """Lists the files whose bytes are the same for the same run.

  Checkpoints are not: RESULT holds the hashes of their arrays.
  """
  paths = [
    path
    for folder in (model_folder.DOCIDS, model_folder.TRIE)
    for path in (out / folder).rglob("*")
    if path.is_file() and path.name != artifacts.PROVENANCE
  ]
  names = [path.relative_to(out).as_posix() for path in paths]
  return [model_folder.MODEL, RESULT, *names]


def digest(params: Any) -> str:
  """Hashes parameters by name, shape and bytes."""
  found = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    found.update(jax.tree_util.keystr(path).encode())
    found.update(str(leaf.shape).encode())
    found.update(np.ascontiguousarray(leaf).tobytes())
  return found.hexdigest()
