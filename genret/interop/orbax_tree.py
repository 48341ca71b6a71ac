"""Trees that orbax has saved, read array by array through tensorstore."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
import tensorstore
from flax import traverse_util

from genret.core.errors import ArtifactError
from genret.interop.leaves import Leaf


def read(folder: Path) -> dict[str, Leaf]:
  """Lists the arrays of a tree that orbax has saved.

  Args:
    folder: with orbax's `_METADATA`, as `checkpoint_N/state` of t5x and
      `checkpoints/N/state` of a model folder.

  Returns:
    Paths -> leaves. What is no array (None, an empty dict) is left out.

  Raises:
    ArtifactError: there is no such tree.
  """
  logging.getLogger("absl").setLevel(logging.ERROR)
  folder = Path(folder).absolute()
  if not (folder / "_METADATA").is_file():
    raise ArtifactError(
      f"{folder} is no tree that orbax has saved: it has no _METADATA."
    )
  handler = ocp.PyTreeCheckpointer()
  found = handler.metadata(folder).item_metadata
  flat = traverse_util.flatten_dict(found.tree)
  handler.close()
  return {
    "/".join(map(str, keys)): _leaf(folder, keys, array, zarr3=found.use_zarr3)
    for keys, array in flat.items()
    if getattr(array, "dtype", None) is not None
  }


def _leaf(
  folder: Path, keys: tuple[Any, ...], array: Any, *, zarr3: bool
) -> Leaf:
  name = ".".join(map(str, keys))
  plain = (folder / name).is_dir()  # before 2023, orbax kept a folder an array
  kvstore: dict[str, Any] = (
    {"driver": "file", "path": str(folder / name)}
    if plain
    else {"driver": "ocdbt", "base": f"file://{folder}", "path": name}
  )
  spec = {"driver": "zarr3" if zarr3 else "zarr", "kvstore": kvstore}
  return Leaf(
    shape=tuple(array.shape or ()),
    dtype=np.dtype(array.dtype),
    read=lambda: tensorstore.open(spec, read=True).result().read().result(),
  )
