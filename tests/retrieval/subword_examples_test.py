import collections
import itertools

import numpy as np
import pytest

from genret.core.collection import Document, Positive, Query
from genret.core.errors import UserError
from genret.retrieval import subword_examples
from genret.retrieval.subword_examples import Source, Texts


def encode(texts):
  """A word is the number of its letters."""
  return [[len(word) for word in text.split()] for text in texts]


def source(rows, *, rate=1.0, drop=(0.0, 0.0)):
  labels = np.arange(len(rows), dtype=np.int32)
  return Source(texts=Texts.of(rows), labels=labels, rate=rate, drop=drop)


def rows_of(texts):
  return [
    texts.tokens[a:b].tolist() for a, b in itertools.pairwise(texts.offsets)
  ]


def test_texts_take_and_keep():
  rows = [[1, 2, 3], [], [4], [5, 6]]
  texts = Texts.of(rows)
  assert rows_of(texts) == rows
  assert rows_of(texts.take(np.array([3, 1, 0, 3]))) == [
    [5, 6],
    [],
    [1, 2, 3],
    [5, 6],
  ]
  assert rows_of(texts.keep(texts.tokens % 2 == 1)) == [[1, 3], [], [], [5]]
  assert rows_of(Texts.of([])) == []


def test_sentences_come_whole_and_in_order():
  text = (
    'The U.S. left in 1990. "They said so!" said Mr. Smith (a lawyer). '
    "Why? Because. 2 of them stayed for the whole of the winter."
  )
  found = subword_examples.split_sentences(text)
  assert " ".join(found) == text
  assert found[0] == "The U.S. left in 1990."
  assert found[-1] == "2 of them stayed for the whole of the winter."
  assert subword_examples.split_sentences(" ") == []


def test_examples_name_their_document():
  documents = [
    Document(docno="x", title="A title", text="One sentence of the first."),
    Document(
      docno="y",
      title="",
      text="The second has two of them. This is the other one.",
    ),
  ]
  positive = Positive(query=Query(query_id="q", text="who is it"), docno="y")
  texts, labels = subword_examples.questions([positive], ["x", "y"], encode)
  assert (rows_of(texts), labels.tolist()) == ([[3, 2, 2]], [1])
  texts, labels = subword_examples.sentences(documents, encode)
  assert (len(texts), labels.tolist()) == (3, [0, 1, 1])
  texts, labels = subword_examples.passages(documents, encode)
  assert rows_of(texts)[0][:2] == [1, 5]
  assert labels.tolist() == [0, 1]
  stray = Positive(query=positive.query, docno="z")
  with pytest.raises(UserError, match="'z'"):
    subword_examples.questions([stray], ["x", "y"], encode)


def test_batches_mix_by_rate_and_read_in_epochs():
  sources = {
    "a": source([[1], [2], [3]], rate=3.0),
    "b": source([[7]] * 5, rate=1.0),
    "never": source([[9]], rate=0.0),
    "empty": source([], rate=1.0),
  }
  stream = subword_examples.batches(sources, batch_size=8, seed=0)
  seen = list(itertools.islice(stream, 50))
  tokens = [int(t) for batch in seen for t in batch.texts.tokens]
  assert {len(batch.labels) for batch in seen} == {8}
  counts = collections.Counter(tokens)
  assert counts[9] == 0
  assert counts[7] == pytest.approx(100, abs=30)
  assert (
    max(counts[t] for t in (1, 2, 3)) - min(counts[t] for t in (1, 2, 3)) <= 1
  )
  for batch in seen:
    owner = batch.labels[batch.texts.tokens < 7]
    assert (batch.texts.tokens[batch.texts.tokens < 7] == owner + 1).all()


def test_batches_repeat_with_the_seed():
  sources = {"a": source([[1, 2], [3, 4, 5]] * 9, drop=(0.2, 0.8))}

  def tokens(seed):
    stream = subword_examples.batches(sources, batch_size=4, seed=seed)
    return [rows_of(b.texts) for b in itertools.islice(stream, 5)]

  assert tokens(0) == tokens(0)
  assert tokens(0) != tokens(1)


def test_drop_leaves_out_the_stated_share():
  sources = {"a": source([list(range(1000))], drop=(0.3, 0.5))}
  stream = subword_examples.batches(sources, batch_size=20, seed=0)
  kept = next(stream).texts.lengths / 1000
  assert 0.45 < kept.min() < kept.max() < 0.75


def test_nothing_to_train_on():
  with pytest.raises(UserError, match="nothing to train on"):
    next(subword_examples.batches({"a": source([])}, batch_size=1, seed=0))


def test_idf_is_positive_and_only_for_what_is_trained_on():
  documents = Texts.of([[2, 3, 3], [2], [2, 4]])
  questions = Texts.of([[5]])
  weights = subword_examples.idf(
    documents, [documents, questions], vocab_size=8
  )
  assert weights[2] == pytest.approx(np.log(1 + 0.5 / 3.5))
  assert weights[3] == weights[4] == pytest.approx(np.log(1 + 2.5 / 1.5))
  assert weights[5] == pytest.approx(np.log(1 + 3.5 / 0.5))
  assert weights[[0, 1, 6, 7]].tolist() == [0, 0, 0, 0]
  only = subword_examples.idf(documents, [questions], vocab_size=8)
  assert np.flatnonzero(only).tolist() == [5]
