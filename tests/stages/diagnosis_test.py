from genret.stages.diagnosis import Diagnosis

FIGURES = {
  "split": "test",
  "search": {"k": 10, "num_beams": 40},
  "num_queries": 200,
  "constrained": {"RR@10": 0.5, "R@1": 0.4},
  "unconstrained": {"RR@10": 0.45, "R@1": 0.4},
  "invalid_beams": 0.25,
  "prefix_recall": [
    {"length": 1, "R@10": 0.9},
    {"length": 2, "R@10": 0.8},
  ],
}


def test_what_was_not_searched_is_left_out():
  lines = Diagnosis(FIGURES).table().splitlines()
  assert lines[0] == "200 queries of test, 10 documents, 40 beams"
  assert lines[1].split() == ["RR@10", "R@1"]
  assert lines[3].split() == ["without", "the", "trie", "0.450", "0.400"]
  assert lines[4].split()[-2:] == ["25.0", "%"]
  assert "exhaustive" not in "\n".join(lines)
  assert lines[-1].split() == ["R@10", "of", "2", "symbols", "0.800"]


def test_an_exhaustive_search_says_of_how_many_queries():
  more = {
    "num_exhaustive": 8,
    "beam": FIGURES["constrained"],
    "exhaustive": FIGURES["constrained"],
    "search_errors": 0.125,
  }
  text = Diagnosis({**FIGURES, **more}).table()
  assert "exhaustive (8 queries)" in text and "12.5 %" in text
  assert max(map(len, text.splitlines())) <= 80
