"""Pre-training tasks of pages and links: a text of a page -> a docid.

CorpusBrain's three (Chen et al., 2022, arXiv 2208.07652) and those of Chang et
al. (2020, arXiv 2002.03932). All but ICT read the links of a collection. What
is drawn for a page is a function of the seed and the row of its first
document; what is drawn for a document, of the seed and its row. The examples
are of the page `EXAMPLE` of `tasks.pages`.

Nothing here imports TensorFlow.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np

from genret.core.collection import Collection, Document
from genret.core.links import Anchor, Page
from genret.tasks import linking, representations
from genret.tasks.examples import Texts, in_blocks
from genret.tasks.linking import Linking
from genret.tasks.pages import (
  DrawnTask,
  PageTask,
  Pair,
  drawn,
  has_words,
  lead,
  sentences,
  targets,
)

# CorpusBrain's: of none, one, … four linked documents.
LINKED = (0.70, 0.20, 0.05, 0.03, 0.02)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinkedTask(PageTask):
  """A task whose texts may stand for linked documents, too.

  CorpusBrain writes some titles of linked pages behind that of the page. A
  docid names one document: so each is a pair of its own, with the same text.

  Attributes:
    min_words: the fewest words of a text, or a paragraph, that is read.
    linked: how likely it is that none, one, two, … of the documents that the
      page links to are paired with a text as well.
  """

  min_words: int = 11
  linked: tuple[float, ...] = LINKED

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("min_words")
    shares = self.linked
    self.check(
      len(shares) > 0
      and all(share >= 0 for share in shares)
      and math.isclose(sum(shares), 1.0),
      f"linked must be probabilities that sum to 1; {shares!r} came",
    )
    object.__setattr__(self, "linked", tuple(shares))

  def with_linked(
    self, pair: Pair, others: Sequence[int], rng: np.random.Generator
  ) -> Iterator[Pair]:
    """Yields a pair, then its text with linked documents drawn for it."""
    yield pair
    count = rng.choice(len(self.linked), p=self.linked)
    for target in drawn(others, count, rng):
      yield target, pair[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ISS(LinkedTask):
  """Inner sentence selection: a sentence of a page -> its document.

  >>> from genret.tasks.pages import EXAMPLE
  >>> task = ISS(rate=1.0, num_sentences=2, min_words=5, linked=(0.0, 1.0))
  >>> for pair in task.pairs(EXAMPLE):
  ...   print(pair)
  (4, 'The tower stands by the river.')
  (9, 'The tower stands by the river.')
  (6, 'Visitors climb the stairs every day of summer.')
  (9, 'Visitors climb the stairs every day of summer.')

  Attributes:
    num_sentences: at most so many of a page.
  """

  num_sentences: int = 10
  name: str = "iss"
  stream: ClassVar[int] = 1

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("num_sentences")

  def pairs(self, page: Page) -> Iterator[Pair]:
    """Yields pairs of a document's row and a sentence."""
    rng = self.rng(page.rows[0])
    found = sentences(page.paragraphs, self.min_words)
    for row, sentence in drawn(found, self.num_sentences, rng):
      yield from self.with_linked((row, sentence), targets(page), rng)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LPS(LinkedTask):
  """Lead paragraph selection: paragraphs from the top -> their document.

  Windows do not overlap; the last may be shorter. One that spans several
  documents stands for the first of them.

  >>> from genret.tasks.pages import EXAMPLE
  >>> task = LPS(rate=1.0, window=2, min_words=5, linked=(1.0,))
  >>> for pair in task.pairs(EXAMPLE):
  ...   print(pair)  # doctest: +NORMALIZE_WHITESPACE
  (4, 'The tower stands by the river. It is tall.
       Masons built it of stone. It took ten years.')
  (6, 'Visitors climb the stairs every day of summer.')

  Attributes:
    window: paragraphs in a text.
    num_windows: at most so many of a page.
  """

  window: int = 3
  num_windows: int = 3
  name: str = "lps"
  stream: ClassVar[int] = 2

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("window", "num_windows")

  def pairs(self, page: Page) -> Iterator[Pair]:
    """Yields pairs of a document's row and paragraphs, joined."""
    rng = self.rng(page.rows[0])
    long = (p for p in page.paragraphs if has_words(p.text, self.min_words))
    top = list(itertools.islice(long, self.window * self.num_windows))
    for i in range(0, len(top), self.window):
      text = " ".join(p.text for p in top[i : i + self.window])
      yield from self.with_linked((top[i].row, text), targets(page), rng)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HIP(PageTask):
  """Hyperlink identifier prediction: text around an anchor -> its target.

  The text is the anchor's paragraph between its neighbours. The document is
  the page that the anchor leads to, or its first passage.

  >>> from genret.tasks.pages import EXAMPLE
  >>> list(HIP(rate=1.0, around=0).pairs(EXAMPLE))
  [(9, 'The tower stands by the river. It is tall.')]
  >>> list(HIP(rate=1.0, num_words=5).pairs(EXAMPLE))
  [(9, 'by the river. It is')]

  Attributes:
    num_anchors: at most so many of a page.
    around: how many paragraphs before and behind are read.
    num_words: of the text, at most, about half of them before the anchor: a
      short input would otherwise end before it. None reads the paragraphs
      whole, as CorpusBrain does.
  """

  num_anchors: int = 3
  around: int = 1
  num_words: int | None = None
  name: str = "hip"
  stream: ClassVar[int] = 3

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("num_anchors")
    self.check(self.around >= 0, "around must be at least 0")
    self.check(
      self.num_words is None or self.num_words > 0,
      "num_words must be at least 1, or None for whole paragraphs",
    )

  def pairs(self, page: Page) -> Iterator[Pair]:
    """Yields pairs of a target's row and what stands around the anchor."""
    # A paragraph may link to a page again and again.
    found = {
      (anchor.paragraph, anchor.row): anchor
      for anchor in reversed(page.anchors)
      if anchor.row not in page.rows
    }
    anchors = [found[key] for key in sorted(found)]
    rng = self.rng(page.rows[0])
    for anchor in drawn(anchors, self.num_anchors, rng):
      yield anchor.row, self._context(page, anchor)

  def _context(self, page: Page, anchor: Anchor) -> str:
    texts = [paragraph.text for paragraph in page.paragraphs]
    here, at = texts[anchor.paragraph], anchor.paragraph
    before = [*texts[max(0, at - self.around) : at], here[: anchor.start]]
    behind = [here[anchor.start :], *texts[at + 1 : at + 1 + self.around]]
    if self.num_words is None:
      return " ".join([*before[:-1], before[-1] + behind[0], *behind[1:]])
    most = self.num_words // 2
    head = " ".join(before).split()[-most:] if most else []
    return " ".join([*head, *" ".join(behind).split()][: self.num_words])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ICT(DrawnTask):
  """Inverse cloze: a sentence of a document -> the document.

  Where a passage is read by an encoder, its sentence is taken out of it. A
  docid has no text, so nothing is. Any collection will do.

  >>> ox = Document(docno="7", title="A", text="It was an ox. Then it fell.")
  >>> list(ICT(rate=1.0, min_words=3).pairs(0, ox))
  [(0, 'It was an ox.')]

  Attributes:
    num_sentences: at most so many of a document.
    min_words: the fewest words of a sentence that is read.
  """

  num_sentences: int = 1
  min_words: int = 5
  name: str = "ict"
  stream: ClassVar[int] = 4

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("num_sentences", "min_words")

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields the sentences drawn of each document."""
    return in_blocks(
      pair
      for row, document in enumerate(collection.documents())
      for pair in self.pairs(row, document)
    )

  def pairs(self, row: int, document: Document) -> Iterator[Pair]:
    """Yields pairs of the document's row and a sentence."""
    found = representations.sentences(document.text, min_words=self.min_words)
    for sentence in drawn(found, self.num_sentences, self.rng(row)):
      yield row, sentence


@dataclasses.dataclass(frozen=True, kw_only=True)
class BFS(PageTask):
  """Body first selection: a sentence of the lead -> another passage there.

  Documents must be passages: a page that is one document has no other.

  >>> from genret.tasks.pages import EXAMPLE
  >>> list(BFS(rate=1.0).pairs(EXAMPLE))
  [(5, 'The tower stands by the river.')]

  Attributes:
    num_pairs: at most so many of a page, each of another sentence.
    min_words: the fewest words of a sentence that is read.
  """

  num_pairs: int = 1
  min_words: int = 5
  name: str = "bfs"
  stream: ClassVar[int] = 5

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("num_pairs", "min_words")

  def pairs(self, page: Page) -> Iterator[Pair]:
    """Yields pairs of a passage's row and a sentence."""
    rng = self.rng(page.rows[0])
    heads = sentences(lead(page), self.min_words)
    for own, sentence in drawn(heads, self.num_pairs, rng):
      others = [row for row in page.rows if row != own]
      if others:
        yield int(rng.choice(others)), sentence

  def check_some(self, num_examples: int, collection: Collection) -> None:
    """Raises a ConfigError when no page has two documents."""
    self.check(
      num_examples > 0,
      f"no page of collection {collection.name!r} has a sentence of "
      f"{self.min_words} words in its lead and another passage; KILT's pages "
      "are parted into passages by kilt.read.unit = 'paragraph', as "
      "collections/kilt_nq_passages.gin does",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class WLP(DrawnTask):
  """Wiki link prediction: a sentence of the lead -> a page that links there.

  The document is a passage of a page that links to the sentence's page; both
  are drawn. Pages are read twice.

  >>> from genret.core.links import Paragraph
  >>> from genret.tasks.pages import EXAMPLE
  >>> river = Page(page="river", title="River", rows=(9,), anchors=(),
  ...   paragraphs=(Paragraph(
  ...     text="The river flows to the sea.", row=9, section=0),))
  >>> task = WLP(rate=1.0)
  >>> found = task.linking([EXAMPLE, river], num_documents=10)
  >>> list(task.pairs(river, found)), list(task.pairs(EXAMPLE, found))
  ([(4, 'The river flows to the sea.')], [])

  Attributes:
    num_pairs: at most so many of a page, each of another sentence.
    min_words: the fewest words of a sentence that is read.
  """

  num_pairs: int = 1
  min_words: int = 5
  name: str = "wlp"
  stream: ClassVar[int] = 6

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("num_pairs", "min_words")

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields the pairs of each page that another links to."""
    found = self.linking(
      collection.links(), num_documents=collection.num_documents
    )
    return in_blocks(
      pair for page in collection.links() for pair in self.pairs(page, found)
    )

  def linking(self, pages: Iterable[Page], *, num_documents: int) -> Linking:
    """Draws, for each page, pages that link to it."""
    return linking.draw(
      pages,
      num_documents=num_documents,
      num_draws=self.num_pairs,
      seed=self.seed,
    )

  def pairs(self, page: Page, found: Linking) -> Iterator[Pair]:
    """Yields pairs of a row of a linking page and a sentence of this one."""
    first = page.rows[0]
    rng = self.rng(first)
    heads = drawn(sentences(lead(page), self.min_words), self.num_pairs, rng)
    for (_, sentence), source in zip(
      heads, found.sources[:, first], strict=False
    ):
      if source >= 0:
        passage = rng.integers(found.sizes[source])
        yield int(source + passage), sentence
