import numpy as np
import pytest

from genret.core.collection import Document, Query
from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.tasks.texts import TextConfig, Texts, write

NO_QUERY = TextConfig(held_out_share=0.5)


def rows(text) -> list[list[int]]:
  return [part.tolist() for part in np.split(text.tokens, text.offsets[1:-1])]


def tokenised(texts) -> list[list[int]]:
  return Tokenizer().encode(texts, max_length=10_000, eos=False)


@pytest.fixture(scope="module")
def pair(new_collection, tmp_path_factory):
  """Two collections that share some texts."""
  root = tmp_path_factory.mktemp("pair")
  texts = {
    "asked": "Who asked for this one?",
    "developed": "This one is a dev query's.",
    "graded 0": "Judged, and not relevant.",
    "trained": "A training question's.",
    "twice": "Said  twice.",
    "once more": "said twice.",
    "nothing": "",
    "unasked": "Of no question.",
  }
  one = new_collection(
    root / "one",
    documents=[
      Document(docno=docno, title="", text=text)
      for docno, text in texts.items()
    ],
    queries=[Query(query_id=q, text=q) for q in "abc"],
    qrels={
      "test": {"a": {"asked": 1, "graded 0": 0}},
      "dev": {"b": {"developed": 2}},
      "train": {"c": {"trained": 1}},
    },
  )
  other = new_collection(
    root / "other",
    documents=[
      Document(docno="1", title="Who asked", text="for this one?"),
      Document(docno="2", title="", text="Of no question."),
      Document(docno="asked", title="", text="Another of that docno."),
      Document(docno="3", title="Titled", text="this one is a DEV query's."),
    ],
    queries=[Query(query_id="a", text="a")],
    qrels={"train": {"a": {"1": 1}}},
  )
  return [one, other]


def written(folder, collections, config) -> Texts:
  write(folder, collections, config)
  return Texts.load(folder)


def test_documents_of_excluded_splits_never_occur(pair, tmp_path):
  texts = written(tmp_path / "texts", pair, NO_QUERY)
  found = rows(texts.train) + rows(texts.held_out)
  expected = [
    "Judged, and not relevant.",
    "A training question's.",
    "Said  twice.",
    "Of no question.",
    "Another of that docno.",
  ]
  assert sorted(found) == sorted(tokenised(expected))
  one, other = texts.summary["one"], texts.summary["other"]
  assert (one["documents"], one["judged"]) == (8, 2)
  assert (one["repeated"], one["empty"]) == (1, 1)
  assert (other["judged"], other["reads_like_judged"]) == (0, 2)
  assert other["repeated"] == 1
  for counts in (one, other):
    sides = ("judged", "reads_like_judged", "repeated", "empty")
    kept = counts["held_out"] + counts["trained"]
    assert counts["documents"] == kept + sum(counts[side] for side in sides)
  assert texts.train.num_tokens == (
    one["trained_tokens"] + other["trained_tokens"]
  )
  assert "left out 2 judged in excluded splits, 0 that" in texts.describe()


def test_other_splits_can_be_excluded(pair, tmp_path):
  none = TextConfig(excluded_splits=(), held_out_share=0.5)
  texts = written(tmp_path / "none", pair, none)
  assert texts.summary["one"]["judged"] == 0
  found = rows(texts.train) + rows(texts.held_out)
  assert tokenised(["Who asked for this one?"])[0] in found
  train = TextConfig(excluded_splits=("train",), held_out_share=0.5)
  texts = written(tmp_path / "train", pair, train)
  assert texts.summary["one"] | {"judged": 1} == texts.summary["one"]
  # The one that reads like `asked` is judged in the other's train split.
  assert texts.summary["one"]["reads_like_judged"] == 1


def test_the_share_is_held_out_by_docno(few, tmp_path):
  none = TextConfig(excluded_splits=(), held_out_share=0.2)
  texts = written(tmp_path / "a", [few], none)
  counts = texts.summary[few.name]
  assert 20 < counts["held_out"] < 60  # of 200
  assert texts.held_out.num_documents == counts["held_out"]
  assert texts.held_out.num_tokens == counts["held_out_tokens"]
  both = {*map(tuple, rows(texts.train)), *map(tuple, rows(texts.held_out))}
  assert len(both) == counts["trained"] + counts["held_out"]
  less = TextConfig(excluded_splits=(), held_out_share=0.1)
  fewer = {*map(tuple, rows(written(tmp_path / "b", [few], less).held_out))}
  assert fewer < {*map(tuple, rows(texts.held_out))}


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_a_share_that_cannot_be(share):
  with pytest.raises(ConfigError, match="held_out_share lies between 0 and 1"):
    TextConfig(held_out_share=share)


def test_what_makes_no_sense_is_refused(pair, tmp_path):
  def check(collections, **settings):
    write(tmp_path / "x", collections, TextConfig(**settings))

  with pytest.raises(ConfigError, match="No collection was given"):
    check([])
  with pytest.raises(ConfigError, match="have one name: one, one"):
    check([pair[0], pair[0]])
  with pytest.raises(ConfigError, match="'tset'. Did you mean 'test'"):
    check(pair, excluded_splits=("tset",))
  assert not (tmp_path / "x").exists()
