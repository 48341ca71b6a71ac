import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import UserError
from genret.core.runs import Hit
from genret.retrieval.untrained import untrained
from genret.serving.index import SNIPPET, Index


def test_hits_are_those_of_the_retriever_with_their_texts(index):
  [found] = index.search(["a river"], k=3, num_beams=4)
  [hits] = index.retriever.search(["a river"], k=3, num_beams=4)
  assert [Hit(docno=h["docno"], score=h["score"]) for h in found] == hits
  for hit in found:
    document = index.document(hit["docno"])
    assert hit["docid"] == document["docid"]
    assert hit["title"] == document["title"]
    assert document["text"].startswith(hit["text"])
    assert hit["truncated"] == (len(document["text"]) > len(hit["text"]))


def test_texts_are_cut_off(index):
  long, short = index.shown(
    [Hit(docno=docno, score=0.0) for docno in ("d1", "d0")]
  )
  assert len(long["text"]) == SNIPPET and long["truncated"]
  assert short["text"] == "A <b> cat." and not short["truncated"]


def test_bm25_finds_words(index):
  cats, none = index.search_bm25(["cats", "zebra"], k=5)
  assert [hit["docno"] for hit in cats] == ["d0"] and none == []


def test_a_document_is_whole(index):
  document = index.document("common/^ é")
  assert document["docid"] == "4.5" and len(document["text"]) > SNIPPET
  assert index.document("d99") is None and index.document("") is None


def test_an_explanation_ends_in_the_hits_of_a_search(index):
  told = index.explain("a river", num_beams=4, dropped=1)
  [hits] = index.search(["a river"], k=4, num_beams=4)
  assert [hit["docno"] for hit in told["hits"]] == [h["docno"] for h in hits]
  assert set(told["hits"][0]) == set(hits[0])
  assert [level["depth"] for level in told["levels"]] == [1, 2]


def test_without_a_collection_there_are_docnos(table):
  index = Index(untrained(table))
  [hit] = index.shown([Hit(docno="d1", score=-1.0)])
  assert hit == {
    "docno": "d1",
    "score": -1.0,
    "docid": "2.3",
    "title": "",
    "text": "",
    "truncated": False,
  }


def test_a_collection_of_other_documents_is_refused(tales, tmp_path):
  with pytest.raises(UserError, match="no model folder"):
    Index.open(tmp_path, tales)


@pytest.mark.slow
def test_warming_up_times_every_size(tales):
  table = DocidTable(
    codes=np.array([[2], [3]]), docnos=["a", "b"], vocab_size=4, scheme="two"
  )
  taken = Index(untrained(table)).warm_up((2,))
  assert {kind: list(sizes) for kind, sizes in taken.items()} == {
    ("search", 2): [1, 8, 64],
    ("explain", 2): [1],
  }
  assert min(taken["search", 2].values()) > 0
