import pytest

from genret.studies import report_words as wording
from genret.studies.report_reader import Row


def test_rows_are_named_by_what_varies(study_results):
  results = study_results()
  bm25, atomic = results.rows[:2]
  assert wording.setting(atomic, results.axes) == "atomic"
  assert wording.whole(atomic, results.axes) == "rung 1k, atomic"
  assert wording.whole(bm25, results.axes) == "rung 1k, BM25"


def test_a_study_of_one_setting_names_it_whole(study_results):
  def change(raw):
    del raw["rows"][2:]

  results = study_results(change)
  name = wording.setting(results.rows[1], results.axes)
  assert name == "atomic, d2q_labelled"


@pytest.mark.parametrize(
  ("raw", "marks"),
  [
    ({}, ""),
    ({"under_trained": True}, "†"),
    ({"dev_rise": 0.006}, "‡"),
    ({"dev_rise": 0.004}, ""),
  ],
)
def test_marks_say_what_is_wrong_with_a_row(raw, marks):
  assert wording.marks(Row(number=1, raw=raw)) == marks


@pytest.mark.parametrize(
  ("value", "text"),
  [
    (999, "999"),
    (999.6, "1k"),
    (12_345, "12.3k"),
    (2e14, "200T"),
    (12.5, "12.5"),
    (0.0041234, "0.00412"),
    (0, "0"),
  ],
)
def test_amounts_have_three_digits(value, text):
  assert wording.amount(value) == text
