"""Pages, and the documents that they become: whole, or a paragraph each."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from genret.core.collection import Document
from genret.core.links import Link, SourcePage, Span

Unit = Literal["page", "paragraph"]
UNITS = ("page", "paragraph")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
  """A heading or a paragraph of a page.

  Attributes:
    number: its place in the source, by which anchors name it.
    text: what it says, not empty.
    heading: whether a section begins here.
    cut: how many characters the source has before this text.
  """

  number: int
  text: str
  heading: bool = False
  cut: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SourceAnchor:
  """A link as a page has it.

  Attributes:
    number: of the part that it is in.
    start: its first character in the source's text of that part.
    end: behind its last.
    page: the id of the page it leads to; None where it names none.
  """

  number: int
  start: int
  end: int
  page: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PageParts:
  """A page before it is made into documents.

  Attributes:
    page: its id.
    title: its title.
    parts: headings and paragraphs, in order.
  """

  page: str
  title: str
  parts: Sequence[Part]


def documents(page: PageParts, unit: Unit) -> list[Document]:
  r"""Makes a page into documents.

  >>> page = PageParts(page="7", title="A", parts=[
  ...   Part(number=1, text="A letter."),
  ...   Part(number=2, text="History", heading=True),
  ...   Part(number=4, text="It was an ox.")])
  >>> [(d.docno, d.title, d.text) for d in documents(page, "page")]
  [('7', 'A', 'A letter.\nHistory\nIt was an ox.')]
  >>> [(d.docno, d.title, d.text) for d in documents(page, "paragraph")]
  [('7-1', 'A', 'A letter.'), ('7-4', 'A', 'It was an ox.')]

  Args:
    page: the page.
    unit: "page": one document, a line a part. "paragraph": one each, whose
      docno is the page's and the paragraph's number; a heading is none.
  """
  if unit == "page":
    text = "\n".join(part.text for part in page.parts)
    return [Document(docno=page.page, title=page.title, text=text)]
  return [
    Document(
      docno=passage_docno(page.page, part.number),
      title=page.title,
      text=part.text,
    )
    for part in page.parts
    if not part.heading
  ]


def passage_docno(page: str, number: int) -> str:
  """Returns the docno of a paragraph as a document.

  >>> passage_docno("290", 3)
  '290-3'
  """
  return f"{page}-{number}"


def linked(
  page: PageParts, anchors: Sequence[SourceAnchor], unit: Unit
) -> SourcePage:
  """Says where the paragraphs of a page stand in its documents.

  >>> page = PageParts(page="7", title="A", parts=[
  ...   Part(number=2, text="History", heading=True),
  ...   Part(number=4, text="It was an ox.", cut=2)])
  >>> ox = SourceAnchor(number=4, start=12, end=14, page="9")
  >>> found = linked(page, [ox], "page")
  >>> found.spans
  (Span(document=0, start=8, end=21, section=1),)
  >>> found.links
  (Link(paragraph=0, start=10, end=12, page='9'),)

  Args:
    page: the page.
    anchors: its links.
    unit: as `documents` was told.
  """
  spans, places, start, section = [], {}, 0, 0
  for part in page.parts:
    if part.heading:
      section += 1
    else:
      places[part.number] = len(spans), part
      whole = unit == "page"
      first = start if whole else 0
      span = Span(
        document=0 if whole else len(spans),
        start=first,
        end=first + len(part.text),
        section=section,
      )
      spans.append(span)
    start += len(part.text) + 1
  return SourcePage(
    page=page.page,
    docnos=[document.docno for document in documents(page, unit)],
    spans=tuple(spans),
    links=tuple(_link(anchor, places) for anchor in anchors),
  )


def _link(anchor: SourceAnchor, places: dict[int, tuple[int, Part]]) -> Link:
  place, part = places.get(anchor.number, (None, None))
  start, end = anchor.start, anchor.end
  if part is not None:
    start, end = start - part.cut, end - part.cut
    if not 0 <= start < end <= len(part.text):
      place = None
  return Link(paragraph=place, start=start, end=end, page=anchor.page)
