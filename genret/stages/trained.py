"""What a finished run of training says of itself: states kept, and hashes."""

import hashlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from genret.core import artifacts
from genret.interop.leaves import Leaf
from genret.interop.weights import Origin, Weights
from genret.models.t5 import T5Config
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


def write_weights(
  out: Path, checkpoints: Checkpoints, *, model: T5Config, dtype: str
) -> None:
  """Writes the result, and the best parameters as `genret convert` would.

  Args:
    out: The folder of the run.
    checkpoints: Those in it, whole.
    model: The T5 of the run.
    dtype: Of the weights, "float32" or "bfloat16".
  """
  write_result(out, checkpoints)
  step = checkpoints.best
  params = checkpoints.restore_params(step)
  flat = traverse_util.flatten_dict(params, sep="/")
  Weights(
    config=model.plain,
    params={
      name: _in_dtype(array, dtype) for name, array in sorted(flat.items())
    },
    origin=Origin(format="genret", step=step),
  ).save(out)


def _in_dtype(array: np.ndarray, dtype: str) -> Leaf:
  wanted = jax.numpy.dtype(dtype)
  return Leaf(
    shape=array.shape, dtype=wanted, read=lambda: array.astype(wanted)
  )


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
