"""A search over a trie that is spread over the devices of a mesh axis.

Docids are split by their first symbol, so that every prefix but the empty one
belongs to one device. Each device ranks the children of the beams that are
its own; the best of all devices are gathered and ranked again, which is what
one device with the whole trie would have kept.
"""

from typing import Self

import flax.struct
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Int

from genret.decoding import device_trie
from genret.decoding.beam_search import Beams, beam_search
from genret.decoding.decoder import Decoder, Encoded
from genret.decoding.device_trie import DeviceTrie, Shard
from genret.decoding.selection import Scoring
from genret.decoding.trie import Trie


@flax.struct.dataclass(kw_only=True)
class ShardedTrie:
  """The parts of a trie, one a device.

  Attributes:
    parts: a `DeviceTrie` whose leaves have the parts as their first axis.
    mesh: static; the devices.
  """

  parts: DeviceTrie
  mesh: Mesh = flax.struct.field(pytree_node=False)

  @classmethod
  def place(cls, trie: Trie, mesh: Mesh, axis: str) -> Self:
    """Spreads a trie over a mesh axis, about as many rows on each device.

    Args:
      trie: the docids.
      mesh: the devices; the trie is replicated over its other axes.
      axis: the axis to spread it over.
    """
    bounds = _split(trie.rows[:, 0], mesh.shape[axis])
    parts = [
      _part(trie.rows[first:last], trie.vocab_size)
      for first, last in zip(bounds[:-1], bounds[1:], strict=True)
    ]
    stacked = {
      name: _stacked([part[name] for part in parts]) for name in _GROWN
    }
    stacked["indptr"] = _stacked([part["indptr"] for part in parts], "edge")
    numbers = np.arange(len(parts), dtype=np.int32)
    placed = DeviceTrie(
      **stacked,
      root=np.array([part["root"] for part in parts], np.int32),
      levels=device_trie.levels(trie),
      shard=Shard(
        first_node=numbers * (stacked["indptr"].shape[1] - 1),
        first_row=bounds[:-1].astype(np.int32),
        num_rows=np.diff(bounds).astype(np.int32),
        axis=axis,
      ),
    )
    sharding = NamedSharding(mesh, PartitionSpec(axis))
    return cls(parts=jax.device_put(placed, sharding), mesh=mesh)


def sharded_search(
  decoder: Decoder,
  encoded: Encoded,
  trie: ShardedTrie,
  *,
  num_beams: int,
  scoring: Scoring = "raw",
  batch_axis: str | None = None,
) -> Beams:
  """Finds what `beam_search` finds, over a trie on many devices.

  Args:
    decoder: the model, on every device.
    encoded: the encoder's output for B queries.
    trie: the docids.
    num_beams: K, static.
    scoring: static; see `beam_search`.
    batch_axis: static; mesh axis over which the queries are spread, other
      than the trie's. None: every device has them all.
  """
  axis = trie.parts.shard.axis
  batch = PartitionSpec(batch_axis)

  def on_one(decoder: Decoder, encoded: Encoded, parts: DeviceTrie) -> Beams:
    mine = jax.tree.map(lambda leaf: leaf[0], parts)
    return beam_search(
      decoder, encoded, mine, num_beams=num_beams, scoring=scoring
    )

  return jax.shard_map(
    on_one,
    mesh=trie.mesh,
    in_specs=(PartitionSpec(), batch, PartitionSpec(axis)),
    out_specs=batch,
    check_vma=False,
  )(decoder, encoded, trie.parts)


_GROWN = ("rows", "symbol", "child", "indptr")


def _split(first_symbols: Int[np.ndarray, "U"], parts: int) -> np.ndarray:
  """Cuts sorted rows where the first symbol changes, as evenly as can be.

  >>> _split(np.array([2, 2, 2, 3, 4, 4, 5, 6]), 3).tolist()
  [0, 3, 6, 8]
  >>> _split(np.array([2, 2, 2]), 2).tolist()
  [0, 3, 3]
  """
  total = len(first_symbols)
  changes = np.flatnonzero(np.diff(first_symbols)) + 1
  changes = np.concatenate([[0], changes, [total]])
  wanted = np.arange(1, parts) * total / parts
  cuts = changes[np.searchsorted(changes, wanted)]
  return np.concatenate([[0], cuts, [total]])


def _part(rows: np.ndarray, vocab_size: int) -> dict[str, np.ndarray | int]:
  """Builds the trie of some rows; of none, a root that leads nowhere."""
  if not len(rows):
    nothing = np.zeros(1, np.int32)
    return {
      "rows": np.zeros((1, rows.shape[1]), rows.dtype),
      "symbol": nothing.astype(rows.dtype),
      "child": nothing,
      "indptr": np.zeros(2, np.int32),
      "root": 0,
    }
  trie = Trie.build(rows, vocab_size)
  return {name: getattr(trie, name) for name in (*_GROWN, "root")}


def _stacked(arrays: list[np.ndarray], mode: str = "constant") -> np.ndarray:
  """Stacks arrays of unequal length, the shorter ones filled up."""
  longest = device_trie.round_up(max(map(len, arrays)))
  grown = [
    np.pad(
      array,
      [(0, longest - len(array))] + [(0, 0)] * (array.ndim - 1),
      mode=mode,
    )
    for array in arrays
  ]
  return np.stack(grown)
