"""Drawing, for each page of a collection, pages that link to it.

Nothing here imports TensorFlow.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from genret.core.links import Page

_NONE = np.iinfo(np.uint64).max


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Linking:
  """What was drawn; a page is known by the row of its first document.

  Attributes:
    sources: the k-th page that was drawn of those that link to a page, int32
      [K, N]; -1 where none does, and where no page begins.
    sizes: the documents of each page, int32 [N]; they stand in a row.
  """

  sources: np.ndarray
  sizes: np.ndarray


def draw(
  pages: Iterable[Page], *, num_documents: int, num_draws: int, seed: int
) -> Linking:
  """Draws pages that link to a page, each as likely as any other.

  Every link has a pseudo-random number, which is a function of the seed, of
  which draw it is, and of both pages; the least wins. So pages pass one by
  one, and no list of links is kept: 12 bytes a document and draw.

  >>> from genret.tasks.pages import EXAMPLE
  >>> found = draw([EXAMPLE], num_documents=10, num_draws=1, seed=0)
  >>> found.sources
  array([[-1, -1, -1, -1, -1, -1, -1, -1, -1,  4]], dtype=int32)
  >>> found.sizes
  array([0, 0, 0, 0, 3, 0, 0, 0, 0, 0], dtype=int32)

  Args:
    pages: in any order; a link of a page to itself counts for nothing.
    num_documents: N.
    num_draws: K, each from all that link there.
    seed: of the draws.
  """
  sources = np.full((num_draws, num_documents), -1, np.int32)
  least = np.full((num_draws, num_documents), _NONE, np.uint64)
  sizes = np.zeros(num_documents, np.int32)
  keys = _mixed(np.arange(num_draws, dtype=np.uint64), np.array([seed]))
  for page in pages:
    first = page.rows[0]
    sizes[first] = len(page.rows)
    rows = sorted({anchor.row for anchor in page.anchors} - set(page.rows))
    if rows:
      numbers = _mixed(_mixed(keys[:, None], np.array(rows)), np.array([first]))
      won = numbers < least[:, rows]  # [K, rows]
      least[:, rows] = np.where(won, numbers, least[:, rows])
      sources[:, rows] = np.where(won, first, sources[:, rows])
  return Linking(sources=sources, sizes=sizes)


def _mixed(state: np.ndarray, number: np.ndarray) -> np.ndarray:
  """Mixes numbers into 64 random bits, as splitmix64 does."""
  mixed = state ^ number.astype(np.uint64)
  mixed = mixed + np.uint64(0x9E3779B97F4A7C15)
  mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  return mixed ^ (mixed >> np.uint64(31))
