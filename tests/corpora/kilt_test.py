import gzip
import json
import tarfile

import pytest

from genret.core.collection import Document, Query
from genret.core.errors import ConfigError, DataError
from genret.core.links import Link
from genret.corpora import kilt
from genret.corpora.source import Judgement


def lines(*rows):
  return "".join(json.dumps(row) + "\n" for row in rows).encode()


# In the form of the published files, `_id` and other keys included.
PAGES = lines(
  {
    "_id": "290",
    "wikipedia_id": "290",
    "wikipedia_title": "A",
    "text": [
      "A\n",
      "A is the first letter.\n",
      "Section::::History.\n",
      "BULLET::::- from aleph\n",
      "\n",
    ],
    "anchors": [],
    "categories": "Letters",
  },
  {"wikipedia_id": 303, "wikipedia_title": "Alabama", "text": ["A state."]},
  {"wikipedia_id": "305", "wikipedia_title": "Achilles", "text": []},
)
TRAIN = lines(
  {
    "id": "t1",
    "input": "which letter is first",
    "output": [
      {"answer": "A", "provenance": [{"wikipedia_id": "290", "title": "A"}]},
      {"answer": "a"},
      {"provenance": [{"wikipedia_id": "290"}, {"wikipedia_id": "303"}]},
    ],
  },
  {"id": "t2", "input": "nobody knows", "output": [{"answer": "?"}]},
)
DEV = lines(
  {
    "id": 9,
    "input": "whose heel",
    "output": [{"provenance": [{"wikipedia_id": 305}]}],
  }
)
FILES = {
  "kilt_knowledgesource.json": PAGES,
  "nq-train-kilt.jsonl": TRAIN,
  "nq-dev-kilt.jsonl": DEV,
  "nq-test_without_answers-kilt.jsonl": lines({"id": "x", "input": "y"}),
}


EXPECTED = (
  [
    Document(
      docno="290",
      title="A",
      text="A is the first letter.\nHistory.\n- from aleph",
    ),
    Document(docno="303", title="Alabama", text="A state."),
    Document(docno="305", title="Achilles", text=""),
  ],
  [
    Query(query_id="9", text="whose heel"),
    Query(query_id="t1", text="which letter is first"),
    Query(query_id="t2", text="nobody knows"),
  ],
  {
    "dev": [Judgement(query_id="9", docno="305", grade=1)],
    "train": [
      Judgement(query_id="t1", docno="290", grade=1),
      Judgement(query_id="t1", docno="303", grade=1),
    ],
  },
)


def test_a_folder(root, everything):
  source = kilt.read(root)
  assert everything(source) == EXPECTED
  assert source.name == "toy"
  assert list(source.origin()) == [
    "dev.jsonl",
    "kilt_knowledgesource.json",
    "train.jsonl",
  ]


def test_gzipped_files(root, everything):
  for path in root.iterdir():
    path.with_name(f"{path.name}.gz").write_bytes(
      gzip.compress(path.read_bytes())
    )
    path.unlink()
  assert everything(kilt.read(root)) == EXPECTED


def test_an_archive(root, everything):
  path = root.parent / "packed.tar.gz"
  with tarfile.open(path, "w:gz") as archive:
    archive.add(root, arcname="inner")
  assert everything(kilt.read(path)) == EXPECTED


def test_a_task_is_chosen_where_there_are_several(root):
  (root / "trex-dev-kilt.jsonl").write_bytes(DEV)
  with pytest.raises(ConfigError, match="tasks nq, trex; choose one by the"):
    kilt.read(root)
  assert set(kilt.read(root, task="trex").qrels) == {"dev"}
  with pytest.raises(ConfigError, match="no task 'trec'. Did you mean 'trex'"):
    kilt.read(root, task="trec")


def test_missing_files(root):
  for path in root.glob("nq-*"):
    path.unlink()
  with pytest.raises(DataError, match="holds no TASK-SPLIT-kilt.jsonl"):
    kilt.read(root)
  (root / "kilt_knowledgesource.json").unlink()
  with pytest.raises(DataError, match="holds no kilt_knowledgesource.json"):
    kilt.read(root)


def page(**changed):
  whole = {"wikipedia_id": "9", "wikipedia_title": "t", "text": ["x"]}
  return lines(whole | changed)


def query(output, **changed):
  return lines({"id": "t3", "input": "what", "output": output} | changed)


LINKED = lines(
  {
    "wikipedia_id": "290",
    "wikipedia_title": "A",
    "text": [
      "A\n",
      "A is the first letter.\n",
      "Section::::History.\n",
      "BULLET::::- from aleph\n",
    ],
    "anchors": [
      {
        "paragraph_id": 1,
        "start": 15,
        "end": 21,
        "text": "letter",
        "href": "Letter",
        "wikipedia_title": "Letter",
        "wikipedia_id": "305",
      },
      {
        "paragraph_id": 3,
        "start": 17,
        "end": 22,
        "text": "aleph",
        "href": "Aleph",
        "wikipedia_id": 303,
      },
      {"paragraph_id": 3, "start": 17, "end": 22, "href": "nowhere"},
      {"paragraph_id": "x", "start": 17, "end": 22, "wikipedia_id": "303"},
    ],
  },
  {"wikipedia_id": 303, "wikipedia_title": "Aleph", "text": ["Aleph", "Ox."]},
  {"wikipedia_id": "305", "wikipedia_title": "Letter", "text": ["A sign."]},
)


def test_anchors_of_pages(root):
  (root / "kilt_knowledgesource.json").write_bytes(LINKED)
  first, second, third = kilt.read(root).links()
  assert (first.page, first.docnos) == ("290", ["290"])
  assert first.links == (
    Link(paragraph=0, start=15, end=21, page="305"),
    Link(paragraph=1, start=7, end=12, page="303"),
    Link(paragraph=1, start=7, end=12, page=None),
    Link(paragraph=None, start=0, end=0, page="303"),
  )
  assert second.links == third.links == ()
  [document, *_] = kilt.read(root).documents()
  texts = [document.text[span.start : span.end] for span in first.spans]
  assert texts == ["A is the first letter.", "- from aleph"]
  assert texts[1][7:12] == "aleph"


def test_broken_anchors_are_nowhere_and_broken_pages_counted_once(root):
  (root / "kilt_knowledgesource.json").write_bytes(
    page(anchors="x") + page(text="x") + page(wikipedia_id="10", anchors=["x"])
  )
  source = kilt.read(root, on_error="skip")
  assert len(list(source.documents())) == 2
  nowhere = Link(paragraph=None, start=0, end=0, page=None)
  assert [p.links for p in source.links()] == [(nowhere,), (nowhere,)]
  assert source.skipped() == {"document: broken JSON": 1}
  with pytest.raises(DataError, match="json:2: broken JSON: 'text' is not a"):
    list(kilt.read(root).links())


def test_paragraphs_are_documents(root, everything):
  (root / "kilt_knowledgesource.json").write_bytes(LINKED)
  (root / "nq-train-kilt.jsonl").write_bytes(
    query(
      [
        {"provenance": [{"wikipedia_id": "290", "start_paragraph_id": 3}]},
        {"provenance": [{"wikipedia_id": 303, "start_paragraph_id": 1}]},
      ]
    )
  )
  (root / "nq-dev-kilt.jsonl").unlink()
  source = kilt.read(root, unit="paragraph")
  documents, _, judgements = everything(source)
  assert documents == [
    Document(docno="290-1", title="A", text="A is the first letter."),
    Document(docno="290-3", title="A", text="- from aleph"),
    Document(docno="303-1", title="Aleph", text="Ox."),
    Document(docno="305-0", title="Letter", text="A sign."),
  ]
  assert [judged.docno for judged in judgements["train"]] == ["290-3", "303-1"]
  assert [page.docnos for page in source.links()] == [
    ["290-1", "290-3"],
    ["303-1"],
    ["305-0"],
  ]
  assert source.origin()["unit"] == "paragraph"
  assert "unit" not in kilt.read(root).origin()


def test_paragraphs_need_to_be_named(root, everything):
  with pytest.raises(DataError, match="start_paragraph_id is None; read this"):
    everything(kilt.read(root, unit="paragraph"))
  with pytest.raises(ConfigError, match="Did you mean 'paragraph'"):
    kilt.read(root, unit="paragraphs")


# file, its bytes, the line at fault, the message
FAULTS = {
  "broken page": (0, PAGES + b"{", 4, "broken JSON"),
  "text is no list": (0, page(text="x"), 1, "broken JSON: 'text' is not a l"),
  "text of numbers": (0, page(text=[1]), 1, "broken JSON: 'text' is not a l"),
  "no page id": (0, page(wikipedia_id=None), 1, "missing wikipedia_id"),
  "page twice": (0, PAGES + page(wikipedia_id="290"), 4, "duplicate _id"),
  "empty page": (0, page(wikipedia_title="", text=["\n"]), 1, "empty text"),
  "broken task": (1, TRAIN + b"[]", 3, "broken JSON: an object"),
  "no input": (1, query([], input=None), 1, "broken JSON: 'input' is None"),
  "no id": (1, query([], id=""), 1, "missing id"),
  "output is no list": (1, query("x"), 1, "broken JSON: 'output' is not a"),
  "provenance is no object": (
    1,
    TRAIN + query([{"provenance": ["290"]}]),
    3,
    "broken JSON: 'provenance' is not a list of objects",
  ),
  "provenance without a page": (
    1,
    query([{"provenance": [{"title": "A"}]}]),
    1,
    "missing wikipedia_id",
  ),
  "unknown page": (
    1,
    query([{"provenance": [{"wikipedia_id": "1"}]}]),
    1,
    "unknown document: no document is '1'",
  ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_names_file_and_line(root, fault, everything):
  which, content, line, message = FAULTS[fault]
  path = root / list(FILES)[which]
  path.write_bytes(content)
  with pytest.raises(DataError) as error:
    everything(kilt.read(root))
  assert str(error.value).startswith(f"{path}:{line}: {message}")
  everything(kilt.read(root, on_error="skip"))  # goes through


def test_what_is_skipped_is_counted(root, everything):
  (root / "nq-train-kilt.jsonl").write_bytes(
    TRAIN + b"[]\n" + query([{"provenance": [{"wikipedia_id": "1"}]}])
  )
  source = kilt.read(root, on_error="skip")
  documents, _, judgements = everything(source)
  assert (documents, judgements) == (EXPECTED[0], EXPECTED[2])
  assert source.skipped() == {
    "query: broken JSON": 1,
    "train judgement: broken JSON": 1,
    "train judgement: unknown document": 1,
  }
