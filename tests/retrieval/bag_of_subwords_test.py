import numpy as np
import pytest

from genret.core.collection import Document, Positive, Query
from genret.core.errors import ConfigError, UserError
from genret.retrieval.bag_of_subwords import (
  BagOfSubwords,
  BagOfSubwordsConfig,
)

TOPICS = ["cat", "dog", "ship", "music", "river", "doctor", "bread", "winter"]
DOCUMENTS = [
  Document(
    docno=f"d{i}",
    title=topic,
    text=f"The {topic} is what this passage is about. A {topic} it is.",
  )
  for i, topic in enumerate(TOPICS)
]
POSITIVES = [
  Positive(
    query=Query(query_id=f"q{i}", text=f"Where is the {topic}?"), docno=f"d{i}"
  )
  for i, topic in enumerate(TOPICS)
]
SMALL = BagOfSubwordsConfig(
  dim=16, train_steps=40, batch_size=32, eval_period=10
)


def top(searcher, text, k=1):
  run = searcher.search([Query(query_id="q", text=text)], k=k)
  return [hit.docno for hit in run["q"]]


@pytest.fixture(scope="module")
def fitted():
  return BagOfSubwords(SMALL).fit(DOCUMENTS, POSITIVES)


def test_finds_documents_by_words_not_seen_together(fitted):
  for i, topic in enumerate(TOPICS):
    assert top(fitted, f"Some {topic}") == [f"d{i}"]


def test_hits_are_distinct_and_decrease_strictly(fitted):
  queries = [Query(query_id=str(i), text="a cat") for i in range(300)]
  run = fitted.search(queries, k=100)
  assert len(run) == 300  # more than a batch
  for hits in run.values():
    assert len({hit.docno for hit in hits}) == len(hits) == len(DOCUMENTS)
    scores = [hit.score for hit in hits]
    assert all(a > b for a, b in zip(scores, scores[1:], strict=False))
    assert sum(np.exp(scores)) == pytest.approx(1.0, abs=1e-4)
  assert run["0"] == run["299"]


def test_unknown_words_rank_by_the_prior_alone(fitted):
  assert top(fitted, "", k=8) == top(fitted, "987", k=8)


def test_same_seed_same_run(fitted):
  queries = [positive.query for positive in POSITIVES]
  again = BagOfSubwords(SMALL).fit(DOCUMENTS, POSITIVES)
  assert again.search(queries, k=8) == fitted.search(queries, k=8)


def test_dev_chooses_the_step():
  values = iter([0.1, 0.7, 0.7, 0.2])
  seen = []

  def evaluate(searcher):
    seen.append(searcher.search([POSITIVES[0].query], k=8))
    return next(values)

  searcher = BagOfSubwords(SMALL).fit(DOCUMENTS, POSITIVES, evaluate=evaluate)
  assert [(x.step, x.value) for x in searcher.looks] == [
    (10, 0.1),
    (20, 0.7),
    (30, 0.7),
    (40, 0.2),
  ]
  assert searcher.chosen_step == 20
  assert searcher.search([POSITIVES[0].query], k=8) == seen[1]
  assert seen[1] != seen[3]


def test_the_last_step_is_looked_at(fitted):
  searcher = BagOfSubwords(
    BagOfSubwordsConfig(dim=16, train_steps=12, batch_size=32, eval_period=10)
  )
  searcher.fit(DOCUMENTS, POSITIVES, evaluate=lambda s: float(len(s.looks)))
  assert [look.step for look in searcher.looks] == [10, 12]
  assert searcher.chosen_step == 12


def test_a_budget_of_seconds_ends_training():
  config = BagOfSubwordsConfig(
    dim=16, train_steps=10**9, batch_size=32, max_seconds=0.5
  )
  searcher = BagOfSubwords(config).fit(DOCUMENTS, POSITIVES)
  assert 0 < searcher.chosen_step < 10**6


def test_it_trains_without_questions():
  searcher = BagOfSubwords(SMALL).fit(DOCUMENTS, [])
  assert top(searcher, "the river") == ["d4"]


def test_progress_is_shown_when_asked_for(capfd):
  config = BagOfSubwordsConfig(dim=16, train_steps=2, batch_size=32)
  BagOfSubwords(config).fit(DOCUMENTS, POSITIVES)
  assert capfd.readouterr().err == ""
  BagOfSubwords(config).fit(DOCUMENTS, POSITIVES, progress=True)
  assert "example/s" in capfd.readouterr().err


@pytest.mark.parametrize(
  ("settings", "said"),
  [
    ({"dim": 0}, "dim is from 1 on"),
    ({"questions": 0, "sentences": 0, "passages": 0}, "rates of examples"),
    ({"sentences": -1}, "rates of examples"),
    ({"subword_dropout": (0.5, 1.0)}, "subword_dropout"),
  ],
)
def test_wrong_settings_say_what_is_right(settings, said):
  with pytest.raises(ConfigError, match=said):
    BagOfSubwordsConfig(**settings)


def test_no_documents():
  with pytest.raises(UserError, match="no documents"):
    BagOfSubwords(SMALL).fit([], [])
