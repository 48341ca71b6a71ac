"""A model of random weights, searched with many beams and with one."""

import json

import pytest

from genret.core.errors import ArtifactError, ConfigError, UserError
from genret.core.runs import Hit
from genret.stages import diagnose
from genret.stages.diagnose import DiagnoseConfig

pytestmark = pytest.mark.usefixtures("compile_once")
QUERIES = 8
ALL = 64  # documents
MEASURES = ("RR@10", "R@64")


def diagnosed(folder, collection, out, **settings):
  config = DiagnoseConfig(
    queries=QUERIES, exhaustive_queries=QUERIES, measures=MEASURES, **settings
  )
  return diagnose.run(config, folder, collection, out=out).figures


@pytest.fixture(scope="module")
def many(untrained, collection, tmp_path_factory):
  """With beams for all documents."""
  out = tmp_path_factory.mktemp("diagnosed") / "diagnostics.json"
  found = diagnosed(untrained("semantic"), collection, out, k=ALL)
  assert json.loads(out.read_text()) == found
  return found


@pytest.fixture(scope="module")
def few(untrained, collection, tmp_path_factory):
  """With one beam, greedy."""
  out = tmp_path_factory.mktemp("diagnosed") / "diagnostics.json"
  folder = untrained("semantic")
  return diagnosed(folder, collection, out, k=10, num_beams=1)


@pytest.mark.slow
def test_beams_for_all_documents_make_no_error_of_the_search(many):
  assert many["search_errors"] == many["answers_lost"] == 0
  assert many["beam"] == many["exhaustive"] == many["constrained"]
  assert many["constrained"]["R@64"] == 1
  assert 0 < many["invalid_beams"] < 1


def test_a_greedy_search_goes_astray(few):
  assert 0 < few["search_errors"] <= 1
  assert few["beam"]["RR@10"] <= few["exhaustive"]["RR@10"]


def test_one_beam_is_a_docid_or_none(few):
  assert few["invalid_beams"] == few["invalid_first"] == few["without_docid"]
  assert few["unconstrained"]["R@64"] <= 1 - few["without_docid"]


def test_recall_of_prefixes_falls_to_that_of_docids(few):
  values = [one["R@10"] for one in few["prefix_recall"]]
  assert [one["length"] for one in few["prefix_recall"]] == [1, 2, 3][
    : len(values)
  ]
  assert values == sorted(values, reverse=True)
  assert values[-1] <= few["constrained"]["R@64"]  # documents share docids


@pytest.mark.slow
def test_docids_of_one_symbol_are_all_scored_anyway(
  untrained, collection, tmp_path
):
  out = tmp_path / "diagnostics.json"
  found = diagnosed(untrained("atomic"), collection, out, k=10, num_beams=1)
  assert found["search_errors"] == 0
  assert found["beam"] == found["exhaustive"]


def test_an_error_is_of_the_search_or_of_the_model():
  a, b, c = (Hit(docno=name, score=-place) for place, name in enumerate("abc"))
  every = {name: [a, b, c] for name in ("right", "wrong", "astray", "empty")}
  beam = {
    "right": [Hit(docno="a", score=-0.00001)],  # added in another order
    "wrong": [a, b],
    "astray": [b, c],
  }
  qrels = {
    "right": {"a": 1},
    "wrong": {"c": 1, "a": 0},
    "astray": {"b": 1},
    "empty": {"d": 1},
  }
  found = diagnose.errors(beam, every, qrels)
  assert found == {
    "search_errors": 0.5,
    "model_errors": 0.75,
    "answers_lost": 0.25,
  }


def test_queries_without_an_answer_say_nothing(untrained, collection):
  with pytest.raises(UserError, match="nothing can be told apart"):
    diagnose.run(DiagnoseConfig(relevance=2), untrained("atomic"), collection)


def test_what_writes_no_docids_is_not_diagnosed(untrained_dual, collection):
  with pytest.raises(UserError, match="writes no docids"):
    diagnose.run(DiagnoseConfig(), untrained_dual("mean"), collection)


def test_a_folder_that_is_no_model_is_refused(tmp_path, collection):
  with pytest.raises(ArtifactError, match="no model folder"):
    diagnose.run(DiagnoseConfig(), tmp_path, collection)


@pytest.mark.parametrize(
  "wrong", [{"queries": 0}, {"k": 0}, {"exhaustive_queries": -1}]
)
def test_counts_are_checked(wrong):
  with pytest.raises(ConfigError, match="expected 1 or more"):
    DiagnoseConfig(**wrong)
