import numpy as np
import pytest

from genret.core import artifacts, collection, links, rungs
from genret.core.collection import Collection, Document
from genret.core.docnos import Docnos
from genret.core.errors import DataError, UserError
from genret.core.links import Anchor, Link, Page, Paragraph, SourcePage, Span

# Page A is two passages, page B one, page C one; B's second was left out.
DOCUMENTS = [
  Document(docno="A-1", title="A", text="About b and c."),
  Document(docno="A-3", title="A", text="More."),
  Document(docno="B-1", title="B", text="See a."),
  Document(docno="C-1", title="C", text="Nothing."),
]


def page(name, docnos, *, sections, found):
  texts = {d.docno: d.text for d in DOCUMENTS}
  return SourcePage(
    page=name,
    docnos=docnos,
    spans=[
      Span(document=i, start=0, end=len(texts.get(d, "x")), section=section)
      for i, (d, section) in enumerate(zip(docnos, sections, strict=True))
    ],
    links=[
      Link(paragraph=paragraph, start=start, end=end, page=to)
      for paragraph, start, end, to in found
    ],
  )


PAGES = [
  page(
    "A",
    ["A-1", "A-3"],
    sections=[0, 1],
    found=[
      (0, 6, 7, "B"),
      (0, 12, 13, "C"),
      (0, 0, 5, "Z"),  # not in the corpus
      (None, 0, 5, "B"),  # in no paragraph
      (1, 0, 4, None),  # to no page
    ],
  ),
  page(
    "B", ["B-0", "B-1"], sections=[0, 0], found=[(1, 4, 5, "A"), (0, 0, 1, "A")]
  ),
  page("C", ["C-1"], sections=[0], found=[]),
  page("D", ["D-1"], sections=[0], found=[]),
]
A, B, C = (
  Page(
    page="A",
    title="A",
    rows=(0, 1),
    paragraphs=(
      Paragraph(text="About b and c.", row=0, section=0),
      Paragraph(text="More.", row=1, section=1),
    ),
    anchors=(
      Anchor(paragraph=0, start=6, end=7, row=2),
      Anchor(paragraph=0, start=12, end=13, row=3),
    ),
  ),
  Page(
    page="B",
    title="B",
    rows=(2,),
    paragraphs=(Paragraph(text="See a.", row=2, section=0),),
    anchors=(Anchor(paragraph=0, start=4, end=5, row=0),),
  ),
  Page(
    page="C",
    title="C",
    rows=(3,),
    paragraphs=(Paragraph(text="Nothing.", row=3, section=0),),
    anchors=(),
  ),
)


def write(folder, pages=PAGES):
  recipe = artifacts.Recipe(
    stage=collection.STAGE, format_version=collection.FORMAT_VERSION
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(draft, documents=DOCUMENTS, queries=[], qrels={})
    docnos = Docnos.load(draft / collection.DOCNOS)
    counts = links.write(draft, iter(pages), docnos)
  return Collection.open(folder), counts


def rung_of(parent, folder, rows):
  recipe = artifacts.Recipe(
    stage=rungs.STAGE,
    inputs={rungs.INPUT: parent.identity},
    format_version=rungs.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe, aside=[rungs.PARENT]) as draft:
    np.save(draft / rungs.ROWS, np.array(rows, np.int32))
    (draft / collection.DOCNOS).mkdir()
    parent.docnos.take(np.array(rows)).save(draft / collection.DOCNOS)
    artifacts.write_json(draft / "summary.json", {"documents": len(rows)})
    rungs.write_parent(draft, parent.root, final=folder)
  return Collection.open(folder)


def test_pages_come_back_and_what_leads_nowhere_is_counted(tmp_path):
  linked, counts = write(tmp_path / "x")
  assert counts == {
    "pages": 3,
    "anchors": 3,
    "outside": 1,
    "without_page": 1,
    "misplaced": 2,
  }
  assert list(linked.links()) == [A, B, C]
  assert sorted(p.name for p in linked.root.glob("links*")) == [links.LINKS]
  assert links.LINKS in artifacts.load(linked.root).files


def test_many_pages_pass_in_blocks(tmp_path, monkeypatch):
  monkeypatch.setattr(links, "_BLOCK", 2)
  linked, _ = write(tmp_path / "x")
  assert list(linked.links()) == [A, B, C]


def test_a_page_that_comes_twice_counts_once(tmp_path):
  linked, counts = write(tmp_path / "x", [*PAGES[:2], PAGES[0], PAGES[2]])
  assert counts["pages"] == 3
  assert [page.page for page in linked.links()] == ["A", "B", "C"]


def test_without_anchors_nothing_is_written(tmp_path):
  bare = [page("A", ["A-1", "A-3"], sections=[0, 1], found=[])]
  plain, counts = write(tmp_path / "x", bare)
  assert counts is None
  assert not list(plain.root.glob("links*"))
  with pytest.raises(UserError, match="has no links.jsonl: nothing is known"):
    plain.links()


def test_a_rung_has_the_pages_of_its_documents(tmp_path):
  linked, _ = write(tmp_path / "x")
  rung = rung_of(linked, tmp_path / "rung", [1, 2, 3])
  assert list(rung.links()) == [
    Page(
      page="A",
      title="A",
      rows=(0,),
      paragraphs=(Paragraph(text="More.", row=0, section=1),),
      anchors=(),
    ),
    Page(
      page="B",
      title="B",
      rows=(1,),
      paragraphs=(Paragraph(text="See a.", row=1, section=0),),
      anchors=(),  # its target is not there
    ),
    Page(
      page="C",
      title="C",
      rows=(2,),
      paragraphs=(Paragraph(text="Nothing.", row=2, section=0),),
      anchors=(),
    ),
  ]
  inner = rung_of(rung, tmp_path / "inner", [1])
  assert [(p.page, p.rows) for p in inner.links()] == [("B", (0,))]


def test_a_rung_keeps_links_between_its_documents(tmp_path):
  linked, _ = write(tmp_path / "x")
  rung = rung_of(linked, tmp_path / "rung", [0, 3])
  [first, _] = rung.links()
  assert first.anchors == (Anchor(paragraph=0, start=12, end=13, row=1),)


def test_another_corpus_is_found_out(tmp_path):
  linked, _ = write(tmp_path / "x")
  path = linked.root / collection.CORPUS
  path.write_text(path.read_text().replace("Nothing.", "None.   "))
  list(linked.links())  # of one length: told by the artifact's hashes
  path.write_text(path.read_text().replace('"None.   "', '"Non"     '))
  with pytest.raises(DataError, match="page 'C' has a paragraph that document"):
    list(linked.links())
