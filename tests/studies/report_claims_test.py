import pytest

from genret.studies import report_claims
from genret.studies.report_blocks import Items, Link, Paragraph, Table


def words(text):
  said = "".join(p.text if isinstance(p, Link) else p for p in text)
  return said.replace("\u00a0", " ")


@pytest.fixture
def said(study_results):
  """Returns what words the claims of results, changed or not."""

  def say(change=lambda raw: None):
    results = study_results(change)
    return [
      words(report_claims.sentence(results, one))
      for one in report_claims.contrasts(results)
    ]

  return say


def test_the_better_side_comes_first(said):
  first, second, *_ = said()
  assert first == (
    "rung 1k: atomic beats semantic by 0.031 [0.011, 0.051] RR@10 (p 0.012)."
  )
  assert "atomic beats semantic‡ by 0.055 [0.035, 0.075]" in second


def test_no_difference_is_not_equivalence(said):
  _, _, same, unseen = said()
  assert "rung 1k and rung 4k‡ are equivalent within 2 points" in same
  assert "+0.006 [−0.007, 0.019] RR@10 (p 0.010)" in same
  assert "no difference between rung 1k and rung 4k was seen" in unseen
  assert unseen.endswith("A difference of 0.050 would have been seen.")


def test_under_trained_sides_are_named(said):
  def change(raw):
    raw["rows"][1]["under_trained"] = True

  found = said(change)
  assert "atomic† beats semantic" in found[0]
  assert found[0].endswith("this says nothing of the method.")
  assert "under-trained" not in found[1]


def test_a_claim_of_one_seed_says_so(said):
  def change(raw):
    raw["rows"][1]["seeds"] = [0]

  found = said(change)
  assert found[0].endswith("(p 0.012). Of one seed.")
  assert "Of one seed" not in found[1]


def test_claims_named_before_come_first(study_results):
  def change(raw):
    raw["contrasts"].reverse()
    raw["contrasts"][-1]["name"] += " (1k)"  # where several have the name

  section = report_claims.claims(study_results(change))
  lists = [b for b in section.blocks if isinstance(b, Items)]
  leads = [words(b.text) for b in section.blocks if isinstance(b, Paragraph)]
  assert [(b.first, len(b.items)) for b in lists] == [(1, 1), (2, 2), (4, 1)]
  assert all(b.ordered for b in lists)
  assert leads[:4] == [
    "Contrasts have names that were given before anything ran.",
    "semantic at two sizes:",
    "atomic against semantic:",
    "Not named before anything ran, so only hints:",
  ]
  lead = section.blocks[-1]
  assert words(lead.text) == "No slope: 2 rungs; a slope takes five"


def test_slopes_are_of_ten_times_the_documents(study_results):
  def change(raw):
    of = {"collection": "debian_pkg", "docids": "atomic"}
    slope = {"slope_per_decade": -0.1, "low": -0.15, "high": -0.05, "rungs": 5}
    raw["slopes"] = [{"of": of, "measure": "RR@10", **slope}]

  section = report_claims.claims(study_results(change))
  (table,) = [b for b in section.blocks if isinstance(b, Table)]
  name, measure, slope, rungs = table.lines[0].cells
  assert (name.text, measure.text, rungs.text) == ("atomic", "RR@10", "5")
  assert slope.text == "−0.100" and slope.note.startswith("[−0.150,")


def test_what_could_not_be_seen(study_results):
  def change(raw):
    raw["rows"][1]["under_trained"] = True
    raw["untested"] = [["coverage", "rung 1k: under-trained"]]
    raw["missing"] = {"failed": [["c-1", "no disk"]], "waiting": ["c-2"]}

  section = report_claims.no_power(study_results(change))
  assert list(map(words, section.blocks[1].items)) == [
    "differences under 0.050 RR@10 between rung 1k† and rung 4k (claim 4).",
    "1 row that is under-trained: rung 1k, atomic.",
    "1 row that is not at a plateau: rung 4k, semantic.",
    "coverage, not tested: rung 1k: under-trained.",
    "cell c-1, which failed: no disk",
    "1 cell not run: c-2.",
  ]


def test_a_study_without_contrasts_says_so(study_results):
  def change(raw):
    raw["contrasts"], raw["not_fitted"] = [], []

  section = report_claims.claims(study_results(change))
  assert words(section.blocks[0].text) == "No contrast was tested."
