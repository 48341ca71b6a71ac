import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genret.retrieval import subword_model
from genret.retrieval.subword_examples import Texts

VOCAB, DOCUMENTS, DIM = 30, 7, 4
ROWS = [[2, 5, 5], [9], [2, 29, 11, 3]]
LABELS = np.array([0, 6, 3], np.int32)


@pytest.fixture
def idf():
  return np.linspace(0.5, 3.0, VOCAB, dtype=np.float32)


def start(seed=0):
  return subword_model.init(
    vocab_size=VOCAB,
    num_documents=DOCUMENTS,
    dim=DIM,
    embedding_stddev=0.1,
    seed=seed,
  )


def dense_logits(params, rows, idf):
  """The oracle: one text after the other, all of the table."""
  vectors = []
  for row in rows:
    weights = idf[np.array(row)]
    vectors.append(weights @ params["subwords"][np.array(row)] / weights.sum())
  return jnp.stack(vectors) @ params["documents"] + params["bias"]


def test_log_probabilities_equal_the_oracle(idf):
  params, _ = start()
  params["bias"] = jnp.arange(DOCUMENTS, dtype=jnp.float32)
  bags = subword_model.make_bags(Texts.of(ROWS), idf)
  found = subword_model.log_probabilities(params, bags, num_texts=8)
  expected = jax.nn.log_softmax(dense_logits(params, ROWS, idf))
  np.testing.assert_allclose(found[:3], expected, atol=1e-5)
  # Rows beyond the texts, and texts without a known subword, have the bias.
  np.testing.assert_allclose(found[5], jax.nn.log_softmax(params["bias"]))


def test_a_text_without_subwords_is_no_nan(idf):
  params, _ = start()
  idf[4] = 0
  bags = subword_model.make_bags(Texts.of([[], [4]]), idf)
  found = subword_model.log_probabilities(params, bags, num_texts=2)
  assert np.isfinite(found).all()


def steps(params, state, idf, batches, smoothing=0.0):
  losses = []
  for number, rows in enumerate(batches):
    params, state, loss = subword_model.train_step(
      params,
      state,
      bags=subword_model.make_bags(Texts.of(rows), idf),
      labels=LABELS[: len(rows)],
      learning_rate=0.1,
      key=jax.random.key(number),
      dropout_rate=0.0,
      label_smoothing=smoothing,
    )
    losses.append(float(loss))
  return params, losses


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_steps_equal_adam_on_the_whole_table(idf, smoothing):
  # While every batch holds the same subwords, lazy and whole Adam agree.
  params, state = start()
  expected = jax.tree.map(jnp.copy, params)
  optimizer = optax.adam(0.1)
  whole = optimizer.init(expected)
  targets = optax.smooth_labels(jax.nn.one_hot(LABELS, DOCUMENTS), smoothing)

  def loss_of(p):
    logits = dense_logits(p, ROWS, idf)
    return optax.softmax_cross_entropy(logits, targets).mean()

  found, losses = steps(params, state, idf, [ROWS] * 3, smoothing)
  for loss in losses:
    value, gradients = jax.value_and_grad(loss_of)(expected)
    assert loss == pytest.approx(float(value), abs=1e-5)
    updates, whole = optimizer.update(gradients, whole)
    expected = optax.apply_updates(expected, updates)
  # Adam turns rounding into steps where a gradient is nearly zero.
  for name in expected:
    np.testing.assert_allclose(found[name], expected[name], atol=2e-3)


def test_a_step_leaves_other_subwords_alone(idf):
  params, state = start()
  before = np.array(params["subwords"])
  found, _ = steps(params, state, idf, [ROWS, ROWS])
  changed = np.flatnonzero(np.any(found["subwords"] != before, axis=1))
  assert changed.tolist() == [2, 3, 5, 9, 11, 29]


def test_training_learns_the_labels(idf):
  params, state = start()
  params, losses = steps(params, state, idf, [ROWS] * 30)
  assert losses[-1] < 0.05 < losses[0]
  bags = subword_model.make_bags(Texts.of(ROWS), idf)
  found = subword_model.log_probabilities(params, bags, num_texts=8)
  assert found[:3].argmax(axis=1).tolist() == LABELS.tolist()


def test_dropout_keeps_the_expectation(idf):
  params, state = start()
  losses = []
  for number in range(60):
    _, _, loss = subword_model.train_step(
      jax.tree.map(jnp.copy, params),
      jax.tree.map(jnp.copy, state),
      bags=subword_model.make_bags(Texts.of(ROWS), idf),
      labels=LABELS,
      learning_rate=0.0,
      key=jax.random.key(number),
      dropout_rate=0.3,
      label_smoothing=0.0,
    )
    losses.append(float(loss))
  _, plain = steps(params, state, idf, [ROWS])
  assert np.std(losses) > 0
  assert np.mean(losses) == pytest.approx(plain[0], abs=0.02)
