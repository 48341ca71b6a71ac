"""A stream of examples drawn from several tasks, restartable anywhere.

The stream is made of chunks. What a chunk holds is a function of the seed,
its number, and how many examples of each task came before it; so a few whole
numbers say where a reader stands, nothing is ever skipped through, and
nothing but these numbers needs saving. Nothing here imports TensorFlow.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from genret.core.errors import ConfigError
from genret.tasks.examples import Examples
from genret.tasks.permutation import Permutation

CHUNK_EXAMPLES = 4096
# Up to so many examples of a task, the order of an epoch is drawn and kept;
# that of more is computed where it is read.
STORED_ORDER = 1 << 24
# What a random number generator of a stream is for.
MIX, ORDER, DROP, ROWS = range(4)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ingredient:
  """Examples of a task and how they are read.

  Attributes:
    examples: of the task.
    rate: its mixing rate.
    token_dropout: least and most share of tokens left out.
    first_place: the place of the first token among those of all tasks, from
      1; None where nobody asks for places.
  """

  examples: Examples
  rate: float = 1.0
  token_dropout: tuple[float, float] = (0.0, 0.0)
  first_place: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Position:
  """Where a chunk begins.

  Attributes:
    chunk: its number.
    drawn: how many examples of each task came before it.
  """

  chunk: int
  drawn: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
  """Examples as they are read.

  Attributes:
    tokens: uint16 [S], inputs end to end.
    lengths: int64 [E], ids of each input.
    documents: int32 [E].
    num_start: with how many start ids each input begins.
    places: int64 [S], where each token was read from, or None. Its state is
      found by it: states themselves are read only for the batch at hand.
  """

  tokens: np.ndarray
  lengths: np.ndarray
  documents: np.ndarray
  num_start: int = 0
  places: np.ndarray | None = None


class Stream:
  """An endless stream in which tasks are drawn at their rates.

  Each task goes through its examples in a new random order in each of its
  epochs. With several shards, chunk c belongs to shard c mod num_shards.

  Args:
    ingredients: the tasks, at least one.
    seed: decides the whole stream.
    shard: which part of the stream to read.
    num_shards: into how many parts it is divided.
  """

  def __init__(
    self,
    ingredients: Sequence[Ingredient],
    *,
    seed: int,
    shard: int = 0,
    num_shards: int = 1,
  ):
    if seed < 0:
      raise ConfigError(f"The seed must be at least 0; {seed} came.")
    if not 0 <= shard < num_shards:
      raise ConfigError(f"There is no shard {shard} of {num_shards}.")
    self._ingredients = tuple(ingredients)
    rates = np.array([i.rate for i in self._ingredients], np.float64)
    self._shares = rates / rates.sum()
    self._seed = seed
    self._num_shards = num_shards
    zero = Position(chunk=0, drawn=(0,) * len(self._ingredients))
    self.start = self._advance(zero, shard)
    self._orders: dict[int, tuple[int, np.ndarray | Permutation]] = {}

  def after(self, position: Position) -> Position:
    """Returns where the next chunk of this shard begins."""
    return self._advance(position, self._num_shards)

  def read(self, position: Position) -> Chunk:
    """Draws a chunk.

    Args:
      position: where it begins.

    Returns:
      CHUNK_EXAMPLES examples, in random order.
    """
    chunks = []
    for task, count in enumerate(self._counts(position.chunk)):
      first = position.drawn[task]
      chosen = self._draw(task, np.arange(first, first + count))
      ingredient = self._ingredients[task]
      chunk = take(
        ingredient.examples, chosen, first_place=ingredient.first_place
      )
      if ingredient.token_dropout[1]:
        rng = self.rng(DROP, position.chunk, task)
        chunk = drop_tokens(chunk, ingredient.token_dropout, rng)
      chunks.append(chunk)
    order = self.rng(ORDER, position.chunk, len(chunks))
    return _shuffled(_joined(chunks), order)

  def _advance(self, position: Position, chunks: int) -> Position:
    drawn = np.array(position.drawn, object)  # Python's whole numbers
    for chunk in range(position.chunk, position.chunk + chunks):
      drawn = drawn + self._counts(chunk).astype(object)
    return Position(chunk=position.chunk + chunks, drawn=tuple(drawn))

  def _counts(self, chunk: int) -> np.ndarray:
    """Draws how many examples of each task a chunk has."""
    rng = self.rng(MIX, chunk)
    return rng.multinomial(CHUNK_EXAMPLES, self._shares)

  def _draw(self, task: int, places: np.ndarray) -> np.ndarray:
    """Finds the examples at some consecutive places of a task's sequence."""
    size = self._ingredients[task].examples.num_examples
    epochs, within = np.divmod(places, size)
    out = np.empty(len(places), np.int64)
    for epoch in np.unique(epochs):
      here = epochs == epoch
      out[here] = self._order(task, int(epoch))[within[here]]
    return out

  def _order(self, task: int, epoch: int) -> np.ndarray | Permutation:
    """Shuffles the examples of a task; the last order is kept."""
    kept = self._orders.get(task)
    if kept is None or kept[0] != epoch:
      size = self._ingredients[task].examples.num_examples
      rng = self.rng(ORDER, epoch, task)
      if size > STORED_ORDER:
        order = Permutation(size, rng)
      else:
        order = rng.permutation(np.arange(size, dtype=np.int32))
      kept = self._orders[task] = (epoch, order)
    return kept[1]

  def rng(
    self, purpose: int, number: int, task: int = 0
  ) -> np.random.Generator:
    """Makes the generator for a purpose, a chunk or epoch, and a task."""
    return np.random.default_rng((self._seed, purpose, number, task))


def take(
  examples: Examples, chosen: np.ndarray, *, first_place: int | None = None
) -> Chunk:
  """Gathers some examples, as they are.

  Args:
    examples: where from.
    chosen: int64 [C], which.
    first_place: of their first token; None leaves places out.

  Returns:
    C examples, in the order of `chosen`.
  """
  starts = examples.offsets[chosen]
  lengths = examples.offsets[chosen + 1] - starts
  within = _ranges(starts, lengths)
  return Chunk(
    tokens=examples.tokens[within],
    lengths=lengths,
    documents=examples.documents[chosen],
    num_start=examples.num_start,
    places=None if first_place is None else within + first_place,
  )


def drop_tokens(
  chunk: Chunk, shares: tuple[float, float], rng: np.random.Generator
) -> Chunk:
  """Leaves out random tokens of each input, but no start or end id.

  >>> chunk = Chunk(
  ...   tokens=np.array([5, 6, 7, 8, 1, 9, 1]),
  ...   lengths=np.array([5, 2]),
  ...   documents=np.array([0, 1]),
  ... )
  >>> drop_tokens(chunk, (0.5, 0.5), np.random.default_rng(0)).tokens.tolist()
  [7, 8, 1, 9, 1]

  Args:
    chunk: E examples.
    shares: the least and the most expected share that is left out; each
      example draws its own.
    rng: the source of randomness.

  Returns:
    The examples, shorter; one that would be left with start and end only
    stays whole.
  """
  share = rng.uniform(*shares, size=len(chunk.lengths))
  kept = rng.random(len(chunk.tokens)) >= np.repeat(share, chunk.lengths)
  ends = np.cumsum(chunk.lengths)
  starts = ends - chunk.lengths
  kept[ends - 1] = True
  for i in range(chunk.num_start):
    kept[starts + i] = True
  lengths = np.add.reduceat(kept, starts, dtype=np.int64)
  bare = lengths < chunk.num_start + 2
  kept |= np.repeat(bare, chunk.lengths)
  return dataclasses.replace(
    chunk,
    tokens=chunk.tokens[kept],
    lengths=np.where(bare, chunk.lengths, lengths),
    places=None if chunk.places is None else chunk.places[kept],
  )


def _joined(chunks: Sequence[Chunk]) -> Chunk:
  return Chunk(
    tokens=np.concatenate([c.tokens for c in chunks]),
    lengths=np.concatenate([c.lengths for c in chunks]),
    documents=np.concatenate([c.documents for c in chunks]),
    num_start=chunks[0].num_start,
    places=(
      None
      if chunks[0].places is None
      else np.concatenate([c.places for c in chunks])
    ),
  )


def _shuffled(chunk: Chunk, rng: np.random.Generator) -> Chunk:
  order = rng.permutation(len(chunk.lengths))
  lengths = chunk.lengths
  starts = np.cumsum(lengths) - lengths
  within = _ranges(starts[order], lengths[order])
  return Chunk(
    tokens=chunk.tokens[within],
    lengths=lengths[order],
    documents=chunk.documents[order],
    num_start=chunk.num_start,
    places=None if chunk.places is None else chunk.places[within],
  )


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
  """Lists start, start + 1, ... of several ranges, end to end.

  >>> _ranges(np.array([5, 0]), np.array([2, 3])).tolist()
  [5, 6, 0, 1, 2]
  """
  ends = np.cumsum(lengths)
  within = np.arange(ends[-1] if len(ends) else 0)
  return within + np.repeat(starts - (ends - lengths), lengths)
