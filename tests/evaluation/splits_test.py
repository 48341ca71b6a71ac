import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import ConfigError, UserError
from genret.evaluation import splits

TEXTS = {
  "t1": "a",
  "t2": "a",
  "t3": "b",
  "t4": "c",
  "v1": "b",
  "v2": "d",
  "e1": "a",
  "e2": "a",
  "e3": "e",
}
SPLITS = {
  "train": {
    "t1": {"d1": 1},
    "t2": {"d2": 1},
    "t3": {"d3": 1},
    "t4": {"d4": 1},
  },
  "dev": {"v1": {"d3": 1}, "v2": {"d5": 1}},
  "test": {"e1": {"d1": 2}, "e2": {"d6": 1, "d2": 0}, "e3": {"d7": 1}},
}


def test_merging_by_hand():
  merged = splits.merge_answers(SPLITS, TEXTS)
  union = {"d1": 2, "d2": 1, "d6": 1}
  assert merged.splits == {
    "train": {"t1": union, "t3": {"d3": 1}, "t4": {"d4": 1}},
    "dev": {"v1": {"d3": 1}, "v2": {"d5": 1}},
    "test": {"e1": union, "e2": union, "e3": {"d7": 1}},
  }
  assert list(merged.splits["test"]["e2"]) == ["d6", "d2", "d1"]
  assert merged.texts == 1  # "b" was judged alike under both its ids
  assert merged.joined == 1
  assert SPLITS["train"]["t1"] == {"d1": 1}  # nothing was changed in place


def test_separating_by_hand():
  separated = splits.separate(SPLITS, TEXTS)
  assert separated.splits == {
    "train": {"t4": {"d4": 1}},
    "dev": SPLITS["dev"],
    "test": SPLITS["test"],
  }
  assert separated.dropped == {"train": 3}
  splits.check_disjoint(separated.splits, TEXTS)


def test_other_splits_come_between_dev_and_train():
  texts = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y", "f": "z"}
  made = {
    "train": {"a": {"d": 1}, "f": {"d": 1}},
    "extra": {"b": {"d": 1}, "e": {"d": 1}},
    "dev": {"c": {"d": 1}},
  }
  separated = splits.separate(made, texts)
  assert {s: list(q) for s, q in separated.splits.items()} == {
    "train": ["f"],
    "extra": ["e"],
    "dev": ["c"],
  }
  assert separated.dropped == {"train": 1, "extra": 1}


def test_a_split_that_is_part_of_another_is_refused():
  texts = {"a": "x", "b": "y"}
  made = {"dev": {"a": {"d": 1}, "b": {"d": 1}}, "dev.small": {"a": {"d": 1}}}
  with pytest.raises(ConfigError, match="of split 'dev.small' also .* in dev"):
    splits.separate(made, texts)


def test_check_disjoint_names_both_sides():
  with pytest.raises(UserError, match="'b' stands in train .'t3'. and in dev"):
    splits.check_disjoint(
      {"train": SPLITS["train"], "dev": SPLITS["dev"]}, TEXTS
    )


def test_carving_by_hand():
  # those whose hash, of printf '0\n7' | sha256sum, begins below 3333
  train = {str(i): {"d": 1} for i in range(20)}
  texts = {str(i): str(i) for i in range(20)}
  carved = splits.carve_dev(train, texts, share=0.2)
  assert list(carved.dev) == ["1", "4", "8", "9", "13", "15"]
  assert list(carved.train) == [i for i in train if i not in carved.dev]


names = st.sampled_from(["train", "dev", "test", "extra"])
ids = st.integers(0, 30).map(str)
qrels = st.dictionaries(
  ids,
  st.dictionaries(
    st.sampled_from("abcd"), st.integers(0, 2), min_size=1, max_size=3
  ),
  max_size=8,
)
made_splits = st.dictionaries(names, qrels, max_size=4)


def text_of(query_id, modulus):
  return str(int(query_id) % modulus)


@settings(deadline=None, max_examples=50)
@given(made=made_splits, modulus=st.integers(2, 40))
def test_merging_then_separating(made, modulus):
  texts = {str(i): text_of(str(i), modulus) for i in range(31)}
  merged = splits.merge_answers(made, texts)
  answers = {}
  for judged_by_id in made.values():
    for query_id, judged in judged_by_id.items():
      known = answers.setdefault(texts[query_id], {})
      for docno, grade in judged.items():
        known[docno] = max(known.get(docno, 0), grade)
  for split, judged_by_id in merged.splits.items():
    assert judged_by_id.keys() <= made[split].keys()
    for query_id, judged in judged_by_id.items():
      assert judged == answers[texts[query_id]]
    if split != "train":
      assert judged_by_id.keys() == made[split].keys()
  try:
    separated = splits.separate(merged.splits, texts)
  except ConfigError:  # a split without any text of its own
    return
  splits.check_disjoint(separated.splits, texts)
  kept = {texts[q] for found in separated.splits.values() for q in found}
  assert kept == answers.keys()  # no text was lost
  if "test" in made:
    assert separated.splits["test"].keys() == made["test"].keys()


@settings(deadline=None, max_examples=50)
@given(judged=qrels, seed=st.integers(0, 3))
def test_carving_depends_on_each_text_alone(judged, seed):
  texts = {str(i): text_of(str(i), 7) for i in range(31)}
  carved = splits.carve_dev(judged, texts, share=0.4, seed=seed)
  assert carved.train | carved.dev == judged
  splits.check_disjoint({"train": carved.train, "dev": carved.dev}, texts)
  for query_id in judged:
    alone = {query_id: judged[query_id]}
    again = splits.carve_dev(alone, texts, share=0.4, seed=seed)
    assert (query_id in again.dev) == (query_id in carved.dev)


def test_the_share_is_about_right_and_the_seed_matters():
  train = {str(i): {"d": 1} for i in range(4000)}
  texts = {i: f"query {i}" for i in train}
  one = splits.carve_dev(train, texts, share=0.05, seed=0)
  other = splits.carve_dev(train, texts, share=0.05, seed=1)
  assert 150 < len(one.dev) < 250
  assert one.dev.keys() != other.dev.keys()


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_the_share_is_checked(share):
  with pytest.raises(ConfigError, match="between 0 and 1"):
    splits.carve_dev({}, {}, share=share)


def test_coverage():
  train = {"a": {"d1": 1, "d2": 0}}
  test = {"b": {"d1": 2, "d2": 1}, "c": {"d1": 1, "d3": 0}}
  assert splits.coverage(train, test) == pytest.approx(2 / 3)
  assert splits.coverage(train, test, relevance=2) == 0
  assert splits.coverage(train, {}) is None


def test_queries_are_parted_by_what_training_has_touched():
  train = {"t1": {"d1": 1, "d4": 0}, "t2": {"d2": 2}}
  test = {
    "both": {"d3": 1, "d1": 1},
    "graded": {"d4": 1},  # its training query is not relevant to it
    "none": {"d1": 0},
    "one": {"d2": 1},
  }
  found = splits.by_coverage(train, test)
  assert found.covered == ("both", "one")
  assert found.uncovered == ("graded", "none")
  strict = splits.by_coverage(train, test, relevance=2)
  assert strict.covered == ()


def test_queries_are_parted_by_how_often_their_answer_was_asked_for():
  counts = {"none": 0, "one": 1, "three": 3, "four": 4, "seven": 7, "nine": 9}
  train = {
    f"{docno}-{i}": {docno: 1, "none": 0}
    for docno, count in counts.items()
    for i in range(count)
  }
  test = {f"q-{docno}": {docno: 1} for docno in counts}
  test["q-both"] = {"one": 1, "four": 1, "nine": 0}
  found = splits.by_training_queries(train, test)
  assert found == {
    "0": ("q-none",),
    "1": ("q-one",),
    "2-3": ("q-three",),
    "4-7": ("q-four", "q-seven", "q-both"),
    "8+": ("q-nine",),
  }
  parts = splits.by_coverage(train, test)
  assert found["0"] == parts.uncovered
  strict = splits.by_training_queries(train, test, relevance=2)
  assert strict["0"] == tuple(test)
