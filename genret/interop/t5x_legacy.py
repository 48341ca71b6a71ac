"""The first layout of t5x checkpoints: msgpack, and a zarr folder an array.

`checkpoint_N/checkpoint` is flax's msgpack of {"version": 3, "optimizer":
{"target": …, "state": …}}. A leaf is an array, or for all but the smallest a
tensorstore spec whose path, from there, leads to a folder such as
`target.encoder.encoder_norm.scale/`.
"""

import collections
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore
from flax import serialization, traverse_util

from genret.core.errors import DataError
from genret.interop.leaves import Leaf, Leaves

FILE = "checkpoint"
VERSION = 3
CHUNK_BYTES = 64 << 20
WRITTEN_AT_ONCE = 512 << 20
_PLACEHOLDER = "PLACEHOLDER://"


def read(folder: Path) -> dict[str, Leaf]:
  """Lists the arrays of a checkpoint.

  Args:
    folder: `checkpoint_N`.

  Returns:
    Paths, "target/…" and "state/…", -> leaves. Empty nodes are left out.

  Raises:
    DataError: its msgpack cannot be read, or is none of t5x's.
  """
  path = Path(folder) / FILE
  try:
    content = serialization.msgpack_restore(path.read_bytes())
    content = content.get("optimizer", content)
    target = content["target"]
  except (OSError, ValueError, KeyError, AttributeError) as error:
    raise DataError(
      f"is no msgpack of a t5x checkpoint ({error!r}). A checkpoint of"
      " Mesh TensorFlow must go through t5x first.",
      path=path,
    ) from error
  tree = {"target": target, "state": content.get("state", {})}
  flat = traverse_util.flatten_dict(
    tree, sep="/", is_leaf=lambda _, node: "driver" in node
  )
  return {
    name: _leaf(Path(folder), value)
    for name, value in flat.items()
    if value is not None
  }


def write(
  folder: Path,
  leaves: Leaves,
  *,
  advance: Callable[[int], Any] = lambda _: None,
) -> None:
  """Writes a checkpoint, array by array.

  As t5x does, an array of one element goes into the msgpack and any other
  into a zarr folder, in chunks of at most 64 MiB that divide it evenly.
  Compressing is slow, so up to 512 MiB are being written at a time.

  Args:
    folder: `checkpoint_N`; made.
    leaves: paths, "target/…" and "state/…", -> arrays.
    advance: told the bytes of each array when it is written.
  """
  folder.mkdir(parents=True)
  flat: dict[str, Any] = {}
  pending: collections.deque[tuple[tensorstore.Future, int]] = (
    collections.deque()
  )

  def finish(most: int) -> None:
    while sum(size for _, size in pending) > most:
      written, size = pending.popleft()
      written.result()
      advance(size)

  for name, leaf in sorted(leaves.items()):
    array = np.asarray(leaf.read())
    if array.size < 2:
      flat[name] = array
      advance(leaf.num_bytes)
      continue
    flat[name] = spec = _spec(name, array)
    store = tensorstore.open(_absolute(folder, spec), create=True).result()
    pending.append((store.write(array), leaf.num_bytes))
    finish(WRITTEN_AT_ONCE)
  finish(0)
  content = {
    "version": VERSION,
    "optimizer": traverse_util.unflatten_dict(flat, sep="/"),
  }
  packed = serialization.msgpack_serialize(content, in_place=True)
  (folder / FILE).write_bytes(packed)


def _spec(name: str, array: np.ndarray) -> dict[str, Any]:
  """Returns what leads to an array, from the checkpoint's folder."""
  return {
    "driver": "zarr",
    "dtype": array.dtype.name,
    "kvstore": {"driver": "file", "path": name.replace("/", ".") + "/"},
    "metadata": {
      "chunks": list(chunk_shape(array.shape, array.dtype.itemsize)),
      "compressor": {"id": "gzip", "level": 1},
      "shape": list(array.shape),
    },
  }


def chunk_shape(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
  """Splits a shape into equal chunks of at most 64 MiB.

  The largest dimension is split by its least divisor, again and again.

  >>> chunk_shape((32128, 4096), 4)
  (4016, 4096)
  """
  chunk = list(shape)
  while np.prod(chunk, dtype=np.int64) * itemsize > CHUNK_BYTES:
    widest = int(np.argmax(chunk))
    size = chunk[widest]
    least = next((d for d in range(2, size) if size % d == 0), size)
    chunk[widest] = size // least
  return tuple(chunk)


def _leaf(folder: Path, value: Any) -> Leaf:
  """Returns the leaf of an array, of a spec, or of orbax's first sort."""
  if isinstance(value, str) and value.startswith(_PLACEHOLDER):
    path = value.removeprefix(_PLACEHOLDER)
    value = {"driver": "zarr", "kvstore": {"driver": "file", "path": path}}
  if not isinstance(value, dict):
    return Leaf.of(value)
  spec = _absolute(folder, value)
  if "metadata" not in spec:
    metadata = tensorstore.open(spec, read=True).result()
    shape, dtype = metadata.shape, metadata.dtype.numpy_dtype
  else:
    shape, dtype = spec["metadata"]["shape"], np.dtype(spec["dtype"])
  return Leaf(
    shape=tuple(shape),
    dtype=dtype,
    read=lambda: tensorstore.open(spec, read=True).result().read().result(),
  )


def _absolute(folder: Path, spec: Mapping[str, Any]) -> dict[str, Any]:
  """Resolves the path of a spec, which may have been written to a bucket."""
  inner = spec["kvstore"].get("path", spec.get("path", ""))
  rest = {key: value for key, value in spec.items() if key != "path"}
  path = str((folder / inner).absolute()) + "/"
  return rest | {"kvstore": {"driver": "file", "path": path}}
