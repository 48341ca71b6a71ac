"""A path-compressed trie of docids: flat NumPy arrays, built offline.

The docids are sorted and deduplicated into `rows`. A node is a prefix that
two or more distinct docids share; where a prefix leads to one docid only, the
trie ends in a reference to its row, from which the remaining symbols are read.
So a search that has arrived at a row is at its document, and needs no history.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Bool, Int

from genret.core.docid_table import EOS, PAD
from genret.core.errors import ArtifactError, UserError

_ARRAYS = (
  "rows",
  "doc_ptr",
  "order",
  "symbol",
  "child",
  "indptr",
  "level_ptr",
)
_HEADER = "trie.json"
_FORMAT = 1


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Trie:
  """The docids of a corpus, as a search walks them.

  Nodes are numbered level by level, and within a level in the order of their
  prefixes; the root is node 0. EOS is a symbol like any other. With a single
  distinct docid there is no node at all.

  >>> trie = Trie.build(np.array([[4, 2], [3, 2], [3, 5], [4, 2]]), 6)
  >>> trie.rows.tolist()
  [[3, 2], [3, 5], [4, 2]]
  >>> trie.symbol[: trie.indptr[1]].tolist()  # below the root
  [3, 4]
  >>> trie.child[: trie.indptr[1]].tolist()  # node 1, and row 2 (~2 = -3)
  [1, -3]
  >>> trie.documents(2).tolist()
  [0, 3]

  Attributes:
    vocab_size: V; symbols are below it.
    rows: distinct docids in lexicographic order, padded with 0.
    doc_ptr: row u belongs to documents order[doc_ptr[u]:doc_ptr[u + 1]].
    order: document numbers by row; within a row in the order of the input.
    symbol: symbol of each edge; the edges of a node are sorted by it.
    child: where each edge leads: a node if >= 0, else ~row.
    indptr: edges of node m are indptr[m]:indptr[m + 1].
    level_ptr: nodes of depth t are level_ptr[t]:level_ptr[t + 1].
  """

  vocab_size: int
  rows: Int[np.ndarray, "U T"]
  doc_ptr: Int[np.ndarray, "U+1"]
  order: Int[np.ndarray, "N"]
  symbol: Int[np.ndarray, "E"]
  child: Int[np.ndarray, "E"]
  indptr: Int[np.ndarray, "M+1"]
  level_ptr: Int[np.ndarray, "T+1"]

  @classmethod
  def build(cls, codes: Int[np.ndarray, "N T"], vocab_size: int) -> Self:
    """Builds the trie of a docid table.

    Args:
      codes: row i is the docid of document i, padded with 0 at its end;
        equal rows are one docid with several documents.
      vocab_size: V, pad and EOS included.

    Raises:
      UserError: a symbol out of range, an empty docid, a pad or an EOS out of
        place, or a docid that is the beginning of another.
    """
    codes = np.asarray(codes)
    _check_rows(codes, vocab_size)
    dtype = np.uint16 if vocab_size <= 1 << 16 else np.int32
    order = _lexicographic(codes, vocab_size)
    rows = codes[order].astype(dtype, copy=False)
    common = _common_prefixes(rows)
    distinct = common < rows.shape[1]
    starts = np.flatnonzero(distinct)
    doc_ptr = np.append(starts, len(rows)).astype(np.int32)
    if len(starts) < len(rows):
      rows, common = rows[starts], common[starts]
    _check_prefix_free(rows, common, order[doc_ptr[:-1]])
    return cls(
      vocab_size=vocab_size,
      rows=rows,
      doc_ptr=doc_ptr,
      order=order.astype(np.int32),
      **_link(rows, common),
    )

  @property
  def num_rows(self) -> int:
    """U, the number of distinct docids."""
    return self.rows.shape[0]

  @property
  def root(self) -> int:
    """State of the empty prefix: node 0, or ~0 if there is but one docid."""
    return 0 if self.num_rows > 1 else ~0

  @property
  def num_documents(self) -> int:
    """N, the number of documents."""
    return self.order.shape[0]

  @property
  def length(self) -> int:
    """T, the symbols of the longest docid."""
    return self.rows.shape[1]

  @functools.cached_property
  def branching(self) -> tuple[int, ...]:
    """The most children a node of each depth has; 1 where none branches."""
    degree = np.diff(self.indptr)
    ends = zip(self.level_ptr[:-1], self.level_ptr[1:], strict=True)
    return tuple(int(degree[a:b].max(initial=1)) for a, b in ends)

  def documents(self, row: int) -> Int[np.ndarray, "n"]:
    """Returns the numbers of the documents that share a row, as put in."""
    return self.order[self.doc_ptr[row] : self.doc_ptr[row + 1]]

  def save(self, folder: Path) -> None:
    """Writes one .npy file an array, and trie.json, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ARRAYS:
      np.save(folder / f"{name}.npy", getattr(self, name))
    header = {"format_version": _FORMAT, "vocab_size": self.vocab_size}
    (folder / _HEADER).write_text(json.dumps(header) + "\n", encoding="utf-8")

  @classmethod
  def load(cls, folder: Path) -> Self:
    """Opens a saved trie; its arrays stay on disk until they are read.

    Raises:
      ArtifactError: a file is missing, damaged, or of another format.
    """
    try:
      header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
      found, vocab_size = header["format_version"], header["vocab_size"]
      arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS
      }
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
      raise ArtifactError(
        f"{folder} does not hold a readable trie ({error!r}); build it again"
      ) from error
    if found != _FORMAT:
      raise ArtifactError(
        f"{folder / _HEADER}: expected trie format {_FORMAT}, got {found!r};"
        " build it again"
      )
    return cls(vocab_size=vocab_size, **arrays)


def _check_rows(codes: np.ndarray, vocab_size: int) -> None:
  """Checks what can be said of each docid by itself."""
  if codes.ndim != 2 or not codes.size or codes.dtype.kind not in "iu":
    raise UserError(
      "a trie needs a matrix of integers [documents, length] with at least one"
      f" of each, got shape {codes.shape} of {codes.dtype}"
    )
  if not 0 < vocab_size <= 1 << 31:
    raise UserError(f"vocab_size must be in 1..2^31, got {vocab_size}")
  _refuse(
    ((codes < 0) | (codes >= vocab_size)).any(axis=1),
    f"have a symbol outside 0..{vocab_size - 1}",
  )
  pad = codes == PAD
  _refuse(pad[:, 0], "have an empty docid (the first symbol is the pad, 0)")
  _refuse(
    (pad[:, :-1] & ~pad[:, 1:]).any(axis=1),
    "have a pad (0) before their last symbol; pads may only follow it",
  )
  _refuse(
    ((codes[:, :-1] == EOS) & ~pad[:, 1:]).any(axis=1),
    "have an EOS (1) before their last symbol",
  )


def _refuse(bad: Bool[np.ndarray, "N"], what: str) -> None:
  if bad.any():
    numbers = np.flatnonzero(bad)
    shown = ", ".join(map(str, numbers[:3])) + ", …" * (len(numbers) > 3)
    raise UserError(
      f"{len(numbers)} of {len(bad)} docids {what}; document numbers {shown}"
    )


def _lexicographic(codes: np.ndarray, vocab_size: int) -> np.ndarray:
  """Returns the order that sorts the rows, stable, by packed 64-bit keys."""
  bits = max(1, (vocab_size - 1).bit_length())
  per_word = 64 // bits
  words = []
  for first in range(0, codes.shape[1], per_word):
    word = np.zeros(len(codes), np.uint64)
    for column in codes[:, first : first + per_word].T:
      word = (word << np.uint64(bits)) | column.astype(np.uint64)
    words.append(word)
  return np.lexsort(words[::-1])


def _common_prefixes(rows: np.ndarray) -> Int[np.ndarray, "U"]:
  """Counts the leading symbols each row shares with the one before it.

  The first row has none before it, and gets -1: it begins every prefix of its
  own, the empty one included.
  """
  common = np.zeros(len(rows), np.int32)
  common[0] = -1
  same = np.ones(len(rows) - 1, bool)
  for column in rows.T:
    same &= column[1:] == column[:-1]
    common[1:] += same
  return common


def _check_prefix_free(
  rows: np.ndarray, common: np.ndarray, documents: np.ndarray
) -> None:
  """Refuses a docid that ends where another goes on.

  In sorted order the docids that begin with a given one follow it directly.
  """
  lengths = (rows != PAD).sum(axis=1)
  bad = np.flatnonzero(common[1:] == lengths[:-1])
  if len(bad):
    pairs = [(documents[i], documents[i + 1]) for i in bad[:3]]
    shown = "; ".join(f"document {a} begins document {b}" for a, b in pairs)
    raise UserError(
      f"{len(bad)} docids are the beginning of another docid ({shown}); end"
      " docids of unequal length with EOS (1)"
    )


def _link(rows: np.ndarray, common: np.ndarray) -> dict[str, np.ndarray]:
  """Makes the nodes and edges, one level at a time.

  `inside` holds the rows below the nodes of the level. A row that shares less
  than t symbols with the one before it begins a node of depth t.
  """
  inside = np.arange(len(rows) if len(rows) > 1 else 0)
  symbols, children, degrees, level_ptr = [], [], [], [0]
  num_nodes = min(1, len(inside))
  for t, column in enumerate(rows.T):
    level_ptr.append(num_nodes)
    begins = np.flatnonzero(common[inside] <= t)
    first = inside[begins]
    sizes = np.diff(begins, append=len(inside))
    parents = np.flatnonzero(common[first] < t)
    degrees.append(np.diff(parents, append=len(first)))
    symbols.append(column[first])
    shared = sizes > 1
    child = np.where(shared, num_nodes - 1 + np.cumsum(shared), ~first)
    children.append(child.astype(np.int32))
    num_nodes += int(shared.sum())
    inside = inside[np.repeat(shared, sizes)]
  indptr = np.concatenate([[0], *degrees]).cumsum()
  return {
    "symbol": np.concatenate(symbols),
    "child": np.concatenate(children),
    "indptr": indptr.astype(np.int32),
    "level_ptr": np.array(level_ptr, np.int32),
  }
