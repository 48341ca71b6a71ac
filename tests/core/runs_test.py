import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import DataError, UserError
from genret.core.runs import (
  Hit,
  decreasing,
  read_trec,
  write_msmarco,
  write_trec,
)

RUN = {
  "q1": [Hit(docno="d2", score=-0.5), Hit(docno="d1", score=-0.5)],
  "q2": [Hit(docno="d1", score=12.25)],
}

finite = st.floats(
  allow_nan=False,
  allow_infinity=False,
  allow_subnormal=False,
  width=32,
  min_value=-(2.0**100),
) | st.sampled_from([0.0, -0.0, 2.0**-126, -(2.0**-126)])


def test_the_written_lines(tmp_path):
  write_trec(tmp_path / "a.trec", RUN, tag="genret")
  assert (tmp_path / "a.trec").read_text() == (
    "q1 Q0 d2 1 -0.5 genret\n"
    "q1 Q0 d1 2 -0.50000006 genret\n"
    "q2 Q0 d1 1 12.25 genret\n"
  )


def test_msmarco_has_ranks_only(tmp_path):
  write_msmarco(tmp_path / "a.tsv", RUN)
  expected = "q1\td2\t1\nq1\td1\t2\nq2\td1\t1\n"
  assert (tmp_path / "a.tsv").read_text() == expected


@settings(deadline=None)
@given(st.lists(finite))
def test_decreasing_is_strict_and_as_close_as_can_be(scores):
  scores = np.array(sorted(scores, reverse=True), np.float32)
  found = decreasing(scores)
  assert found.dtype == np.float32
  assert (found[1:] < found[:-1]).all()
  expected, last = [], np.inf
  for score in scores.tolist():  # one by one
    last = min(score, float(below(last)))
    expected.append(last)
  np.testing.assert_array_equal(found, np.array(expected, np.float32))


def below(value):
  """The next smaller float32 that is 0 or a normal number."""
  tiny = np.finfo(np.float32).tiny
  if value in (0.0, tiny):
    return value - tiny
  return np.nextafter(np.float32(value), np.float32(-np.inf))


def test_zeros_are_told_apart_by_normal_numbers():
  assert decreasing(np.zeros(2)).tolist() == [0.0, -(2.0**-126)]
  assert decreasing(np.array([1e-40])).tolist() == [0.0]


def test_decreasing_refuses_what_is_not_finite():
  for bad in (np.nan, -np.inf, 1e300):
    with pytest.raises(UserError, match="finite"):
      decreasing(np.array([bad]))


word = st.text(
  st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1
).filter(lambda w: len(w.split()) == 1)


@settings(deadline=None, max_examples=30)
@given(
  st.dictionaries(word, st.dictionaries(word, finite, min_size=1), max_size=4)
)
def test_round_trip_keeps_order_and_leaves_no_tie(found):
  run = {
    query_id: [
      Hit(docno=docno, score=score)
      for docno, score in sorted(hits.items(), key=lambda hit: -hit[1])
    ]
    for query_id, hits in found.items()
  }
  with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "run.trec")
    write_trec(path, run, tag="t")
    loaded = read_trec(path)
  assert list(loaded) == list(run)
  for query_id, hits in loaded.items():
    assert [h.docno for h in hits] == [h.docno for h in run[query_id]]
    scores = np.array([h.score for h in hits], np.float32)
    assert (scores[1:] < scores[:-1]).all()


def test_reading_goes_by_score_not_by_line(tmp_path):
  path = tmp_path / "a.trec"
  path.write_text("q Q0 a 2 1.0 t\nr Q0 a 1 5 t\nq Q0 b 1 2.5 t\n")
  assert [hit.docno for hit in read_trec(path)["q"]] == ["b", "a"]


@pytest.mark.parametrize(
  ("line", "message"),
  [
    (b"q Q0 d 2 1.0", "5 columns; a TREC run has six"),
    (b"", "0 columns"),
    (b"q Q0 d 2 high t", "score 'high' is not a finite number"),
    (b"q Q0 d 2 nan t", "score 'nan'"),
    (b"q Q0 d two 1.0 t", "rank 'two' is not a whole number"),
    (b"q Q0 a 2 0.5 t", "document 'a' stands twice for query 'q'"),
    (b"q Q0 \xff 2 0.5 t", "not UTF-8"),
  ],
)
def test_reading_names_the_line(tmp_path, line, message):
  path = tmp_path / "a.trec"
  path.write_bytes(b"q Q0 a 1 1.0 t\n" + line + b"\n")
  with pytest.raises(DataError, match=message) as error:
    read_trec(path)
  assert str(error.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize(
  ("run", "message"),
  [
    ({"q 1": []}, "query id 'q 1' cannot stand in a run file"),
    ({"q": [Hit(docno="a b", score=1.0)]}, "docno 'a b' cannot stand"),
    ({"q": [Hit(docno="", score=1.0)]}, "docno '' cannot stand"),
    ({"q": [Hit(docno="a", score=1.0)] * 2}, "'a' stands twice"),
    (
      {"q": [Hit(docno="a", score=1.0), Hit(docno="b", score=2.0)]},
      "not best first",
    ),
  ],
)
def test_a_wrong_run_leaves_no_file(tmp_path, run, message):
  with pytest.raises(UserError, match=message):
    write_trec(tmp_path / "a.trec", run, tag="t")
  assert list(tmp_path.iterdir()) == []


def test_the_tag_is_one_word(tmp_path):
  with pytest.raises(UserError, match="tag 'my run'"):
    write_trec(tmp_path / "a.trec", RUN, tag="my run")
