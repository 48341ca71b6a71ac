"""How good a docid table is: uniqueness, depth, branching, balance."""

import dataclasses

import numpy as np

from genret.core.docid_table import PAD, DocidTable, lexicographic_order

_BLOCK = 1 << 20  # rows looked at a time

ENOUGH_UNIQUE = 0.9
PAIRS = 20_000  # documents that are compared a level
"""Below this share of unique docids, rankings by docid are known to fail."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level:
  """One step of the tree that docids form.

  Attributes:
    nodes: distinct prefixes that some docid goes on from.
    mean_branching: next symbols of such a prefix, on average.
    max_branching: next symbols of the prefix that has most.
    balance: entropy of documents over the prefixes one symbol longer,
      divided by that of an even spread; 1 is even.
    entropy: of the symbol at this position over the documents that have one,
      in bits; 8 where 256 symbols are used alike.
    symbols: distinct ones at this position.
  """

  nodes: int
  mean_branching: float
  max_branching: int
  balance: float
  entropy: float
  symbols: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
  """The least, mean and largest of some counts."""

  least: int
  mean: float
  largest: int

  @classmethod
  def of(cls, counts: np.ndarray) -> "Spread":
    """Summarises counts, of which there is at least one."""
    return cls(
      least=int(counts.min()),
      mean=float(counts.mean()),
      largest=int(counts.max()),
    )

  def __str__(self) -> str:
    return f"{self.least} / {self.mean:.2f} / {self.largest}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quality:
  """What can be told of a docid table without a model.

  Attributes:
    scheme: how the docids were made.
    num_documents: N.
    vocab_size: V.
    uniqueness: distinct docids a document; 1 without collisions.
    collisions: documents that share their docid with another.
    resolved: documents that shared theirs until one more symbol told them
      apart.
    depth: symbols a docid, EOS included.
    leaves: documents a prefix, of prefixes that lack only the last symbol.
    levels: the tree, from its root.
    similarity: where there are embeddings, the mean cosine of documents that
      share at least 0, 1, 2, … symbols, as far as any two do.
  """

  scheme: str
  num_documents: int
  vocab_size: int
  uniqueness: float
  collisions: int
  resolved: int
  depth: Spread
  leaves: Spread
  levels: tuple[Level, ...]
  similarity: tuple[float, ...] | None = None

  def __str__(self) -> str:
    """Formats a table for people."""
    lines = [
      f"docids               {self.scheme}",
      f"documents            {self.num_documents:,}",
      f"symbols (V)          {self.vocab_size:,}",
      f"uniqueness           {self.uniqueness:.4f}"
      f" ({self.collisions:,} documents share a docid)",
      *self._before(),
      f"symbols a docid      {self.depth}  (least / mean / largest)",
      f"longest path         {self.depth.largest}",
      f"documents a leaf     {self.leaves}  (least / mean / largest)",
      "level      prefixes  branching mean     max  balance  entropy  symbols",
    ]
    for number, level in enumerate(self.levels):
      lines.append(
        f"{number:>5} {level.nodes:>13,} {level.mean_branching:>15.2f}"
        f" {level.max_branching:>7,} {level.balance:>8.3f}"
        f" {level.entropy:>8.2f} {level.symbols:>8,}"
      )
    if self.similarity is not None:
      lines.append("mean cosine of documents that share their first symbols")
      lines += [
        f"{number:>5} {cosine:>13.3f}"
        for number, cosine in enumerate(self.similarity)
      ]
    return "\n".join(lines)

  def _before(self) -> list[str]:
    if not self.resolved:
      return []
    return [
      f"told apart           {self.resolved:,} documents by one more symbol"
    ]


def describe(
  table: DocidTable,
  embeddings: np.ndarray | None = None,
  *,
  resolved: int = 0,
) -> Quality:
  """Measures a docid table.

  >>> from genret.docids import naive
  >>> from genret.docids.corpus import Listed
  >>> corpus = Listed.named(f"d{i}" for i in range(20))
  >>> quality = describe(naive.fit_sequential(corpus))
  >>> [(level.nodes, level.mean_branching) for level in quality.levels]
  [(1, 2.0), (2, 10.0)]

  Args:
    table: docids of N documents.
    embeddings: [N, D], row i is document i, for `similarity`; may be
      memory-mapped.
    resolved: documents that shared a docid until a policy lengthened it.

  Returns:
    The figures; printed, they are a table.
  """
  order = lexicographic_order(table.codes)
  tree = _Tree(table.codes, order)
  docids = np.diff(tree.starts(table.length), append=table.num_documents)
  levels = range(int(tree.lengths.max()))
  return Quality(
    scheme=table.scheme,
    num_documents=table.num_documents,
    vocab_size=table.vocab_size,
    uniqueness=len(docids) / table.num_documents,
    collisions=int(docids[docids > 1].sum()),
    resolved=resolved,
    depth=Spread.of(tree.lengths),
    leaves=Spread.of(np.concatenate([tree.leaves(i) for i in levels])),
    levels=tuple(tree.level(i, symbols=_counts(table, i)) for i in levels),
    similarity=None
    if embeddings is None
    else tuple(_similarity(order, tree, embeddings)),
  )


def similarity_by_prefix(
  table: DocidTable,
  embeddings: np.ndarray,
  *,
  pairs: int = PAIRS,
  seed: int = 0,
) -> list[float]:
  """Estimates how alike documents are that begin with the same symbols.

  Args:
    table: docids of N documents.
    embeddings: [N, D], row i is document i; may be memory-mapped.
    pairs: documents drawn a level, each with another of its prefix.
    seed: of the draws.

  Returns:
    The mean cosine of documents that share at least 0, 1, 2, … symbols, as
    far as any two do.
  """
  order = lexicographic_order(table.codes)
  tree = _Tree(table.codes, order)
  return _similarity(order, tree, embeddings, pairs=pairs, seed=seed)


def _similarity(
  order: np.ndarray,
  tree: "_Tree",
  embeddings: np.ndarray,
  *,
  pairs: int = PAIRS,
  seed: int = 0,
) -> list[float]:
  random = np.random.default_rng(seed)
  means = []
  for level in range(int(tree.lengths.max()) + 1):
    starts = tree.starts(level)
    sizes = np.diff(starts, append=len(order))
    group = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
    # A docid that ended before this level shares no more symbols with anyone;
    # those of its prefix that did not are all as long.
    pool = np.flatnonzero((sizes[group] > 1) & (tree.lengths >= level))
    if not len(pool):
      break
    one = random.choice(pool, pairs)
    first, size = starts[group[one]], sizes[group[one]]
    step = 1 + (random.random(pairs) * (size - 1)).astype(np.int64)
    other = first + (one - first + step) % size
    means.append(_mean_cosine(embeddings, order[one], order[other]))
  return means


def _mean_cosine(
  embeddings: np.ndarray, rows: np.ndarray, others: np.ndarray
) -> float:
  a = np.asarray(embeddings[rows], np.float32)
  b = np.asarray(embeddings[others], np.float32)
  norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
  return float(((a * b).sum(1) / np.maximum(norms, 1e-12)).mean())


class _Tree:
  """Docids seen as a tree of prefixes, the rows in lexicographic order.

  Attributes:
    lengths: symbols of each row [N].
    shared: leading symbols that a row has in common with the one before it
      [N]; -1 for the first row.
  """

  def __init__(self, codes: np.ndarray, order: np.ndarray):
    self.lengths = np.empty(len(order), np.int32)
    self.shared = np.full(len(order), -1, np.int32)
    for start in range(0, len(order), _BLOCK):
      block = codes[order[max(0, start - 1) : start + _BLOCK]]
      same = np.logical_and.accumulate(block[1:] == block[:-1], axis=1)
      here = slice(max(1, start), start + _BLOCK)
      self.shared[here] = same.sum(1)
      here = slice(max(0, start - 1), start + _BLOCK)
      self.lengths[here] = (block != PAD).sum(1)

  def starts(self, level: int) -> np.ndarray:
    """First rows of each prefix of `level` symbols, or shorter docid."""
    return np.flatnonzero(self.shared < level)

  def level(self, level: int, *, symbols: np.ndarray) -> Level:
    """Measures the step from `level` symbols to one more.

    Args:
      level: symbols of the prefixes.
      symbols: how often each symbol follows them.
    """
    goes_on = self.lengths > level
    node = self._number(level)[goes_on]
    child = self._number(level + 1)[goes_on]
    first = np.diff(child, prepend=-1) != 0
    branching = np.bincount(node[first])
    documents = np.bincount(child)
    branching = branching[branching > 0]
    documents = documents[documents > 0]
    return Level(
      nodes=len(branching),
      mean_branching=float(branching.mean()),
      max_branching=int(branching.max()),
      balance=_balance(documents),
      entropy=_entropy(symbols),
      symbols=len(symbols),
    )

  def leaves(self, level: int) -> np.ndarray:
    """Counts the documents that end one symbol after the same prefix."""
    ends = np.bincount(self._number(level)[self.lengths == level + 1])
    return ends[ends > 0]

  def _number(self, level: int) -> np.ndarray:
    """Numbers the prefixes of `level` symbols, or shorter docids [N]."""
    return np.cumsum(self.shared < level, dtype=np.int32)


def _counts(table: DocidTable, level: int) -> np.ndarray:
  """Counts each symbol that some docid has at a position."""
  counts = np.zeros(table.vocab_size, np.int64)
  for start in range(0, table.num_documents, _BLOCK):
    block = table.codes[start : start + _BLOCK, level]
    counts += np.bincount(block, minlength=table.vocab_size)
  counts[PAD] = 0
  return counts[counts > 0]


def _entropy(counts: np.ndarray) -> float:
  """Returns bits; 0 of a single kind."""
  share = counts / counts.sum()
  return float(abs((share * np.log2(share)).sum()))


def _balance(documents: np.ndarray) -> float:
  if len(documents) == 1:
    return 1.0
  return _entropy(documents) / float(np.log2(len(documents)))
