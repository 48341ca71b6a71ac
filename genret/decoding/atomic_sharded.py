"""Exact search over atomic docids whose head is split over devices.

Each device searches its own part of the head, as `atomic.search` does the
whole; then all exchange K candidates and one sum for each query. No device
holds more of the head than its part, nor scores of more than a chunk of it.
"""

from collections.abc import Iterator
from typing import Any, Self, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from genret.core.errors import UserError
from genret.decoding import atomic
from genret.decoding.atomic import CHUNK, AtomicIndex, Found
from genret.decoding.beam_search import Beams
from genret.decoding.decoder import Decoder, Encoded
from genret.decoding.selection import Scoring
from genret.decoding.trie import Trie

AnyDecoder = TypeVar("AnyDecoder", bound=Decoder)


@flax.struct.dataclass(kw_only=True)
class ShardedIndex:
  """The docids of one symbol each, spread as the head is.

  Attributes:
    parts: the marks of all devices, each device its own; the docids' symbols,
      4 bytes each, whole on every device.
    mesh: static; the devices.
    axis: static; the mesh axis over which the head is split.
  """

  parts: AtomicIndex
  mesh: Mesh = flax.struct.field(pytree_node=False)
  axis: str = flax.struct.field(pytree_node=False)

  @classmethod
  def place(
    cls,
    trie: Trie,
    mesh: Mesh,
    axis: str,
    *,
    head_width: int | None = None,
    chunk: int = CHUNK,
  ) -> Self:
    """Spreads the docids of a trie over a mesh axis.

    Args:
      trie: docids of one symbol.
      mesh: the devices; the docids are replicated over its other axes.
      axis: the axis over which the head is split.
      head_width: symbols that the head has a place for; V where it is not
        padded. What the devices do not divide, `place` pads.
      chunk: symbols that a device scores at a time, at most.

    Raises:
      UserError: a docid has more than one symbol, the chunk has none, or the
        head is too narrow for the docids.
    """
    head_width = trie.vocab_size if head_width is None else head_width
    if head_width < trie.vocab_size:
      raise UserError(
        f"the docids have {trie.vocab_size} symbols, the head {head_width};"
        " use the docids that the model was trained with"
      )
    num_parts = mesh.shape[axis]
    index = atomic.host_index(
      trie,
      chunk=chunk,
      part_width=-(-head_width // num_parts),
      num_parts=num_parts,
    )
    shardings = _specs(index, axis, lambda spec: NamedSharding(mesh, spec))
    return cls(parts=jax.device_put(index, shardings), mesh=mesh, axis=axis)

  @property
  def head_width(self) -> int:
    """The symbols that the head must have a place for, on all devices."""
    return self.mesh.shape[self.axis] * self.parts.part_width


def sharded_search(
  decoder: Decoder,
  encoded: Encoded,
  index: ShardedIndex,
  *,
  specs: Any,
  num_beams: int,
  scoring: Scoring = "raw",
  recall_target: float | None = None,
  batch_axis: str | None = None,
) -> Beams:
  """Finds what `atomic.search` finds, with a head on many devices.

  Jit it with the specs bound, and lay the decoder out by them beforehand:

    specs = jax.tree_util.tree_map_with_path(
      lambda path, leaf: P("model") if is_head(path) else P(), decoder
    )
    decoder = place(decoder, mesh, specs)
    index = ShardedIndex.place(trie, mesh, "model", head_width=...)
    search = jax.jit(
      functools.partial(sharded_search, specs=specs, num_beams=10)
    )

  Args:
    decoder: the model, as `place` lays it out.
    encoded: the encoder's output for B queries.
    index: the docids.
    specs: static; PartitionSpecs of the decoder's leaves, or of subtrees. The
      index's axis splits the head, and all else that `logits_between` reads by
      symbols, by symbols; it splits nothing else.
    num_beams: K, static.
    scoring: static; see `atomic.search`.
    recall_target: static; see `atomic.search`.
    batch_axis: static; mesh axis over which the queries are spread, other
      than the index's. None: every device has them all.

  Raises:
    UserError: as `atomic.search`, or the specs and the index disagree on how
      wide the head is.
  """
  atomic.check(num_beams, scoring, recall_target)
  _check_head(decoder, specs, index)

  def on_one(decoder: Decoder, encoded: Encoded, part: AtomicIndex) -> Beams:
    found = atomic.best_docids(
      decoder,
      encoded,
      part,
      first_symbol=jax.lax.axis_index(index.axis) * part.part_width,
      num_beams=num_beams,
      scoring=scoring,
      recall_target=recall_target,
    )
    return atomic.ranked(_joined(found, index.axis), part, num_beams)

  batch = PartitionSpec(batch_axis)
  # Every device of the axis ranks the same candidates and returns the same
  # beams; that is beyond what the check of varying values can infer.
  return jax.shard_map(
    on_one,
    mesh=index.mesh,
    in_specs=(specs, batch, _specs(index.parts, index.axis)),
    out_specs=batch,
    check_vma=False,
  )(decoder, encoded, index.parts)


def place(decoder: AnyDecoder, mesh: Mesh, specs: Any) -> AnyDecoder:
  """Lays a decoder out over a mesh, each device its part of the head.

  Axes that the devices do not divide are padded with zeros; each part is then
  cut on the host, so that no device holds the whole. Leaves that lie as they
  should are left alone.

  Args:
    decoder: the model.
    mesh: the devices.
    specs: PartitionSpecs of the decoder's leaves, or of subtrees.
  """

  def place_leaf(leaf: Array, spec: PartitionSpec) -> Array:
    sharding = NamedSharding(mesh, spec)
    shape = []
    for size, names in _split_axes(leaf, spec):
      ways = int(np.prod([mesh.shape[name] for name in names]))
      shape.append(-(-size // ways) * ways)
    if tuple(shape) == leaf.shape:
      return jax.device_put(leaf, sharding)
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(
      tuple(shape), sharding, lambda where: _cut(whole, where, shape)
    )

  return jax.tree.map(place_leaf, decoder, _broadcast(specs, decoder))


def _cut(
  whole: np.ndarray, where: tuple[slice, ...], shape: list[int]
) -> np.ndarray:
  """Cuts a part from an array that is padded with zeros to a shape.

  >>> _cut(np.arange(1, 6), (slice(4, 8),), [8]).tolist()
  [5, 0, 0, 0]
  """
  part = whole[where]
  missing = []
  for axis, size in enumerate(shape):
    start, end, _ = where[axis].indices(size)
    missing.append((0, end - start - part.shape[axis]))
  return np.pad(part, missing)


def _split_axes(
  leaf: Array, spec: PartitionSpec
) -> Iterator[tuple[int, tuple[str, ...]]]:
  """Yields the size of each axis, and the mesh axes that split it."""
  for axis, size in enumerate(leaf.shape):
    names = spec[axis] if axis < len(spec) else None
    yield size, (names,) if isinstance(names, str) else tuple(names or ())


def _broadcast(specs: Any, decoder: Decoder) -> Any:
  """Gives every leaf the spec of its subtree."""
  return jax.tree.broadcast(
    specs, decoder, is_leaf=lambda node: isinstance(node, PartitionSpec)
  )


def _specs(
  index: AtomicIndex, axis: str, make: Any = lambda spec: spec
) -> AtomicIndex:
  """Says where the leaves of an index lie."""
  return index.replace(
    marks=make(PartitionSpec(axis)), symbols=make(PartitionSpec())
  )


def _check_head(decoder: Decoder, specs: Any, index: ShardedIndex) -> None:
  leaves = jax.tree.leaves(decoder)
  leaf_specs = jax.tree.leaves(_broadcast(specs, decoder))
  widths = {
    size
    for leaf, spec in zip(leaves, leaf_specs, strict=True)
    for size, names in _split_axes(leaf, spec)
    if index.axis in names
  }
  if widths != {index.head_width}:
    raise UserError(
      f"the index is for a head of {index.head_width} symbols that is split"
      f" over {index.axis!r}; what the specs split over it has the widths"
      f" {sorted(widths)}. Give the head's leaf that axis and nothing else,"
      " make the index with the head_width of the decoder, and lay the decoder"
      " out with `place`"
    )


def _joined(found: Found, axis: str) -> Found:
  """Joins what all devices of a mesh axis found, in the order of symbols."""
  most = found.logits.shape[1]
  every = jax.lax.all_gather(found, axis)  # [P, B, ...]
  logits, symbols = (
    jnp.moveaxis(leaf, 0, 1).reshape(leaf.shape[1], -1)
    for leaf in (every.logits, every.symbols)
  )  # [B, P * K]
  logits, order = jax.lax.top_k(logits, most)
  return Found(
    logits=logits,
    symbols=jnp.take_along_axis(symbols, order, axis=-1),
    total=jax.nn.logsumexp(every.total, axis=0),
  )
