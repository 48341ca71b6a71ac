"""The safetensors format: a JSON header, then the arrays, one by one.

Read through a memory map and written as the arrays come, so neither way holds
more than one of them. The format is eight bytes of length, the header, and
the bytes of each array in C order, little-endian.
"""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from genret.core.errors import DataError
from genret.interop.leaves import Leaf, Leaves

_NAMES = {
  "BOOL": np.bool_,
  "U8": np.uint8,
  "U16": np.uint16,
  "U32": np.uint32,
  "U64": np.uint64,
  "I8": np.int8,
  "I16": np.int16,
  "I32": np.int32,
  "I64": np.int64,
  "F16": np.float16,
  "BF16": ml_dtypes.bfloat16,
  "F32": np.float32,
  "F64": np.float64,
}
_METADATA = "__metadata__"


def read(path: Path) -> dict[str, Leaf]:
  """Lists the arrays of a file.

  Args:
    path: the file.

  Returns:
    Their names -> leaves over a memory map of the file.

  Raises:
    DataError: it is no whole safetensors file.
  """
  path = Path(path)
  try:
    size = path.stat().st_size
    with open(path, "rb") as file:
      length = int.from_bytes(file.read(8), "little")
      if length > size:
        raise ValueError("its header is longer than the file")
      header = json.loads(file.read(length))
    header.pop(_METADATA, None)
    start = 8 + length
    leaves = {name: _leaf(path, entry, start) for name, entry in header.items()}
    if any(e["data_offsets"][1] + start > size for e in header.values()):
      raise ValueError("it ends before its last array")
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise DataError(
      f"is no whole safetensors file: {error}.", path=path
    ) from error
  return leaves


def write(
  path: Path,
  leaves: Leaves,
  *,
  advance: Callable[[int], Any] = lambda _: None,
) -> None:
  """Writes arrays, each read only when its turn comes.

  Args:
    path: the file.
    leaves: names -> arrays.
    advance: told the bytes of each array when it is written.
  """
  header: dict[str, Any] = {}
  end = 0
  for name, leaf in leaves.items():
    start, end = end, end + leaf.num_bytes
    header[name] = {
      "dtype": _name(leaf.dtype),
      "shape": list(leaf.shape),
      "data_offsets": [start, end],
    }
  text = json.dumps(header, separators=(",", ":")).encode()
  text += b" " * (-(8 + len(text)) % 64)  # so that arrays begin aligned
  with open(path, "wb") as file:
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for leaf in leaves.values():
      array = np.ascontiguousarray(leaf.read())
      file.write(array.reshape(-1).view(np.uint8).data)
      advance(leaf.num_bytes)
    file.flush()
    os.fsync(file.fileno())


def _leaf(path: Path, entry: dict[str, Any], start: int) -> Leaf:
  dtype = np.dtype(_NAMES[entry["dtype"]])
  shape = tuple(entry["shape"])
  first, last = entry["data_offsets"]
  if last - first != math.prod(shape) * dtype.itemsize:
    raise ValueError(f"{shape} of {dtype} does not fill {last - first} bytes")

  def value() -> np.ndarray:
    if first == last:
      return np.empty(shape, dtype)
    lies = np.memmap(
      path, np.uint8, "r", offset=start + first, shape=(last - first,)
    )
    return lies.view(dtype).reshape(shape)

  return Leaf(shape=shape, dtype=dtype, read=value)


def _name(dtype: np.dtype) -> str:
  for name, kind in _NAMES.items():
    if np.dtype(kind) == dtype:
      return name
  raise ValueError(f"safetensors knows no {dtype}")
