"""What tasks that read pages share: how they draw, and what they draw from.

The examples of `tasks.pretraining` are of this page:

>>> for paragraph in EXAMPLE.paragraphs:
...   print(paragraph.section, paragraph.row, paragraph.text)
0 4 The tower stands by the river. It is tall.
1 5 Masons built it of stone. It took ten years.
1 6 Visitors climb the stairs every day of summer.
>>> EXAMPLE.anchors
(Anchor(paragraph=0, start=24, end=29, row=9),)

Nothing here imports TensorFlow.
"""

import abc
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from genret.core.collection import Collection
from genret.core.links import Anchor, Page, Paragraph
from genret.tasks import representations
from genret.tasks.examples import TaskConfig, Texts, in_blocks

T = TypeVar("T")
Pair = tuple[int, str]

# Three passages of a page whose lead links to document 9, of another page.
EXAMPLE = Page(
  page="tower",
  title="Tower",
  rows=(4, 5, 6),
  paragraphs=(
    Paragraph(
      text="The tower stands by the river. It is tall.", row=4, section=0
    ),
    Paragraph(
      text="Masons built it of stone. It took ten years.", row=5, section=1
    ),
    Paragraph(
      text="Visitors climb the stairs every day of summer.", row=6, section=1
    ),
  ),
  anchors=(Anchor(paragraph=0, start=24, end=29, row=9),),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawnTask(TaskConfig):
  """A task that draws.

  Attributes:
    seed: of all draws.
  """

  seed: int = 0

  # Tasks of one seed do not draw alike.
  stream: ClassVar[int] = 0

  def __post_init__(self):
    super().__post_init__()
    self.check(self.seed >= 0, "seed must be at least 0")

  def rng(self, row: int) -> np.random.Generator:
    """Returns the source of what is drawn for a document, or for a page."""
    return np.random.default_rng((self.seed, self.stream, row))

  def content(self) -> dict[str, Any]:
    """Returns the settings, and which task it is: some have the same."""
    return {**super().content(), "kind": type(self).__name__}

  def check_counts(self, *names: str) -> None:
    """Raises a ConfigError unless the settings of these names are over 0."""
    for name in names:
      self.check(getattr(self, name) > 0, f"{name} must be at least 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageTask(DrawnTask):
  """A task that makes pairs of each page alone."""

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields the pairs of each page."""
    pages = collection.links()
    return in_blocks(itertools.chain.from_iterable(map(self.pairs, pages)))

  @abc.abstractmethod
  def pairs(self, page: Page) -> Iterator[Pair]:
    """Yields pairs of a document's row and a text."""


def lead(page: Page) -> list[Paragraph]:
  """Returns the paragraphs before the first heading."""
  return [p for p in page.paragraphs if p.section == 0]


def sentences(
  paragraphs: Sequence[Paragraph], min_words: int
) -> list[tuple[int, str]]:
  """Lists the sentences of paragraphs, each behind its document's row."""
  return [
    (paragraph.row, sentence)
    for paragraph in paragraphs
    for sentence in representations.sentences(
      paragraph.text, min_words=min_words
    )
  ]


def targets(page: Page) -> list[int]:
  """Lists the documents that a page links to, ascending."""
  return sorted({anchor.row for anchor in page.anchors} - set(page.rows))


def drawn(items: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
  """Draws at most so many items, each once, and keeps their order."""
  if len(items) <= count:
    return list(items)
  places = rng.choice(len(items), size=count, replace=False)
  return [items[i] for i in sorted(places.tolist())]


def has_words(text: str, count: int) -> bool:
  """Says whether a text has so many words, split at white space."""
  return len(text.split(maxsplit=count)) >= count
