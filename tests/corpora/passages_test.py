from genret.core.links import Link, Span
from genret.corpora import passages
from genret.corpora.passages import PageParts, Part, SourceAnchor

PAGE = PageParts(
  page="290",
  title="A",
  parts=[
    Part(number=1, text="The first letter."),
    Part(number=2, text="History", heading=True, cut=11),
    Part(number=3, text="- from aleph", cut=10),
    Part(number=5, text="Two\nlines"),
  ],
)
ANCHORS = [
  SourceAnchor(number=1, start=4, end=9, page="1"),
  SourceAnchor(number=3, start=17, end=22, page="7"),
  SourceAnchor(number=3, start=9, end=12, page="7"),  # in the mark
  SourceAnchor(number=1, start=4, end=90, page="7"),  # behind the end
  SourceAnchor(number=2, start=11, end=13, page="7"),  # in a heading
  SourceAnchor(number=4, start=0, end=1, page="7"),  # of an empty line
  SourceAnchor(number=5, start=4, end=9, page=None),
]


def test_spans_and_links_stand_in_the_documents():
  for unit in passages.UNITS:
    found = passages.linked(PAGE, ANCHORS, unit)
    documents = passages.documents(PAGE, unit)
    assert found.docnos == [document.docno for document in documents]
    texts = [
      documents[span.document].text[span.start : span.end]
      for span in found.spans
    ]
    assert texts == ["The first letter.", "- from aleph", "Two\nlines"]
    assert [span.section for span in found.spans] == [0, 1, 1]
    named = [
      link.paragraph is not None
      and texts[link.paragraph][link.start : link.end]
      for link in found.links
    ]
    assert named == ["first", "aleph", False, False, False, False, "lines"]
    assert [link.page for link in found.links][-2:] == ["7", None]


def test_a_page_without_paragraphs():
  bare = PageParts(page="1", title="Only", parts=[])
  assert passages.linked(bare, [], "page").docnos == ["1"]
  assert passages.documents(bare, "paragraph") == []
  assert passages.linked(bare, [], "paragraph").docnos == []


def test_a_paragraph_is_a_whole_document():
  found = passages.linked(PAGE, [], "paragraph")
  assert found.spans[1] == Span(document=1, start=0, end=12, section=1)
  assert found.docnos == ["290-1", "290-3", "290-5"]
  assert passages.linked(PAGE, ANCHORS[:1], "paragraph").links == (
    Link(paragraph=0, start=4, end=9, page="1"),
  )
