from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.querygen import overlap
from genret.tasks.synthetic import SyntheticQuery


def test_overlap_by_hand(tmp_path):
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "small"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(tmp_path / "small", recipe) as draft:
    collection.write(
      draft,
      documents=[Document(docno=d, title="", text=d) for d in "abc"],
      queries=[
        Query(query_id="q1", text="What is tall?"),
        Query(query_id="q2", text="what  is TALL?"),
        Query(query_id="q3", text="what flows"),
      ],
      qrels={
        "train": {"q1": {"a": 1}, "q2": {"b": 1, "c": 0}},
        "test": {"q3": {"b": 2}},
      },
    )
  texts = [
    ("a", "what is tall?"),
    ("b", "What is tall?"),
    ("c", "what is tall?"),
    ("c", "ｗhat flows"),
    ("c", "who knows"),
  ]
  found = overlap.count(
    (SyntheticQuery(docno=docno, text=text) for docno, text in texts),
    Collection.open(tmp_path / "small"),
  )
  assert found == {
    "train": overlap.Overlap(
      questions=1, generated=3, for_their_document=2, questions_met=1
    ),
    "test": overlap.Overlap(
      questions=1, generated=1, for_their_document=0, questions_met=1
    ),
  }
  assert "test: 1 of 5 generated queries (20.000 %)" in overlap.describe(
    found, num_queries=5
  )
