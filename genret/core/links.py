"""Pages of a collection, their paragraphs, and which page links to which.

`links.jsonl` stands beside corpus.jsonl and has one JSON object a page, in
corpus order. It repeats no text, but says where it stands:

  page        the page's id in the source
  rows        the rows of its documents
  paragraphs  a list of [row, start, end, section]: characters start to end of
              the text of that document; section 0 is the lead
  anchors     a list of [paragraph, start, end, row]: characters of one of the
              paragraphs, and the first document of the page it leads to
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import json_lines
from genret.core.docnos import Docnos
from genret.core.errors import DataError

LINKS = "links.jsonl"

_DRAFT = "links.draft.jsonl"
_BLOCK = 1024  # pages
_COUNTED = ("pages", "anchors", "outside", "without_page", "misplaced")


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
  """Where a paragraph of a page stands.

  Attributes:
    document: which of the page's documents has it, from 0.
    start: its first character in the text of that document.
    end: behind its last.
    section: how many headings of the page stand before it.
  """

  document: int
  start: int
  end: int
  section: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
  """An anchor as it was published.

  Attributes:
    paragraph: which span of the page, from 0; None where it is in none.
    start: its first character in that paragraph.
    end: behind its last.
    page: the id of the page it leads to; None where it names none.
  """

  paragraph: int | None
  start: int
  end: int
  page: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePage:
  """A page as a reader found it.

  Attributes:
    page: its id.
    docnos: of the documents that it was made into.
    spans: its paragraphs, in order.
    links: its anchors.
  """

  page: str
  docnos: Sequence[str]
  spans: Sequence[Span]
  links: Sequence[Link]


@dataclass(frozen=True, kw_only=True, slots=True)
class Paragraph:
  """A paragraph of a page; headings are none.

  Attributes:
    text: what it says.
    row: of the document that it is, or is part of.
    section: 0 in the lead of the page.
  """

  text: str
  row: int
  section: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
  """A link to another page, or to the same.

  Attributes:
    paragraph: where it stands, among the paragraphs of its page.
    start: its first character there.
    end: behind its last.
    row: of the first document of the page that it leads to.
  """

  paragraph: int
  start: int
  end: int
  row: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
  """A page of a linked collection.

  Attributes:
    page: its id in the source.
    title: its title.
    rows: of its documents, ascending.
    paragraphs: in order.
    anchors: in order.
  """

  page: str
  title: str
  rows: tuple[int, ...]
  paragraphs: tuple[Paragraph, ...]
  anchors: tuple[Anchor, ...]


def write(
  folder: Path, pages: Iterable[SourcePage], docnos: Docnos
) -> dict[str, int] | None:
  """Writes `links.jsonl`, or nothing where no page has an anchor.

  In memory are the ids of all pages, and no text.

  Args:
    folder: of the collection.
    pages: in corpus order; those of which no document is in the corpus are
      left out.
    docnos: of the corpus.

  Returns:
    How many pages there are, how many anchors were kept, and how many not:
    `outside`, they lead to a page that the corpus does not have;
    `without_page`, they name none; `misplaced`, they are in no paragraph.
    None where no page has an anchor.
  """
  counts: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
  names: list[str] = []
  rows: list[int] = []
  draft = folder / _DRAFT

  def noted() -> Iterator[dict[str, Any]]:
    for page in _placed(pages, docnos, counts):
      names.append(page["page"])
      rows.append(page["rows"][0])
      yield page

  json_lines.write(draft, noted())
  counts["pages"] = len(names)
  known, firsts = Docnos.from_strings(names), np.array(rows, np.int64)
  resolved = _resolved(
    json_lines.read(draft), known, firsts=firsts, counts=counts
  )
  json_lines.write(folder / LINKS, resolved)
  draft.unlink()
  if not sum(counts[kind] for kind in _COUNTED[1:]):
    (folder / LINKS).unlink()
    return None
  return dict(counts)


def read(
  path: Path,
  documents: Callable[[Iterable[int]], Iterable[Any]],
  rows: np.ndarray | None = None,
) -> Iterator[Page]:
  """Yields the pages, in corpus order.

  Args:
    path: what `write` wrote.
    documents: reads documents of the collection by their rows.
    rows: the rows that a rung has, ascending, and `documents` counts from
      there; None for all. Paragraphs and anchors are left out with their
      documents, and anchors that lead to such a document.

  Yields:
    Pages of which a document is there.

  Raises:
    DataError: the corpus is not the one that was linked.
  """
  found = json_lines.read(path)
  if rows is not None:
    found = filter(None, (_within(page, rows) for page in found))
  while block := list(itertools.islice(found, _BLOCK)):
    wanted = [row for page in block for row in page["rows"]]
    texts = iter(documents(wanted))
    for page in block:
      own = dict(zip(page["rows"], texts, strict=False))
      yield _page(page, own, path)


def _page(page: Mapping[str, Any], own: Mapping[int, Any], path: Path) -> Page:
  paragraphs = []
  for row, start, end, section in page["paragraphs"]:
    text = own[row].text[start:end]
    if len(text) != end - start:
      raise DataError(
        f"page {page['page']!r} has a paragraph that document "
        f"{own[row].docno!r} has not; make the collection anew",
        path=path,
      )
    paragraphs.append(Paragraph(text=text, row=row, section=section))
  return Page(
    page=page["page"],
    title=own[page["rows"][0]].title,
    rows=tuple(page["rows"]),
    paragraphs=tuple(paragraphs),
    anchors=tuple(
      Anchor(paragraph=paragraph, start=start, end=end, row=row)
      for paragraph, start, end, row in page["anchors"]
    ),
  )


def _placed(
  pages: Iterable[SourcePage], docnos: Docnos, counts: Counter[str]
) -> Iterator[dict[str, Any]]:
  """Puts rows in the place of docnos; drops what the corpus has not."""
  pages, last = iter(pages), -1
  while block := list(itertools.islice(pages, _BLOCK)):
    found = iter(docnos.find([d for page in block for d in page.docnos]))
    for page in block:
      rows = [int(row) for row in itertools.islice(found, len(page.docnos))]
      # One that stood further up already is no document of this page.
      own = [row if row > last else -1 for row in rows]
      last = max(last, *own, -1)
      placed = _with_rows(page, own, counts)
      if placed["rows"]:
        yield placed


def _with_rows(
  page: SourcePage, rows: Sequence[int], counts: Counter[str]
) -> dict[str, Any]:
  places: dict[int, int] = {}
  paragraphs = []
  for i, span in enumerate(page.spans):
    if rows[span.document] >= 0:
      places[i] = len(paragraphs)
      row = rows[span.document]
      paragraphs.append([row, span.start, span.end, span.section])
  anchors = []
  for link in page.links:
    if link.paragraph not in places:
      counts["misplaced"] += 1
    elif link.page is None:
      counts["without_page"] += 1
    else:
      place = places[link.paragraph]
      anchors.append([place, link.start, link.end, link.page])
  return {
    "page": page.page,
    "rows": [row for row in rows if row >= 0],
    "paragraphs": paragraphs,
    "anchors": anchors,
  }


def _resolved(
  pages: Iterator[dict[str, Any]],
  known: Docnos,
  *,
  firsts: np.ndarray,
  counts: Counter[str],
) -> Iterator[dict[str, Any]]:
  """Puts rows in the place of the ids that anchors lead to."""
  while block := list(itertools.islice(pages, _BLOCK)):
    found = known.find([a[3] for page in block for a in page["anchors"]])
    targets = iter(np.where(found < 0, -1, firsts[found]).tolist())
    for page in block:
      to = list(itertools.islice(targets, len(page["anchors"])))
      kept = [
        [*anchor[:3], row]
        for anchor, row in zip(page["anchors"], to, strict=True)
        if row >= 0
      ]
      counts["outside"] += len(to) - len(kept)
      counts["anchors"] += len(kept)
      yield {**page, "anchors": kept}


def _within(page: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any] | None:
  """Restricts a page to the rows of a rung, None where it has none."""
  own = dict(_places(page["rows"], rows))
  if not own:
    return None
  inside = [i for i, p in enumerate(page["paragraphs"]) if p[0] in own]
  places = {old: new for new, old in enumerate(inside)}
  anchors = [a for a in page["anchors"] if a[0] in places]
  targets = dict(_places([a[3] for a in anchors], rows))
  return {
    "page": page["page"],
    "rows": [own[row] for row in page["rows"] if row in own],
    "paragraphs": [
      [own[row], *rest]
      for row, *rest in (page["paragraphs"][i] for i in inside)
    ],
    "anchors": [
      [places[a[0]], a[1], a[2], targets[a[3]]]
      for a in anchors
      if a[3] in targets
    ],
  }


def _places(
  wanted: Sequence[int], rows: np.ndarray
) -> Iterator[tuple[int, int]]:
  """Yields each of the wanted that is among ascending rows, and where."""
  found = np.searchsorted(rows, np.asarray(wanted, np.int64))
  for row, place in zip(wanted, found.tolist(), strict=True):
    if place < len(rows) and rows[place] == row:
      yield row, place
