"""Text from a tiny T5: which symbols, their shares, and which text."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.models.t5 import T5
from genret.querygen import sampling
from genret.querygen.sampling import Asked, Sampler, SamplingConfig

HOW = SamplingConfig(num_queries=6, max_length=5, batch_size=2)
IDS = [[5, 6, 7, 1], [9, 10, 1], [37, 629, 19, 1627, 5, 1]]


def asked(seed=0):
  keys = jax.random.split(jax.random.key(seed), len(IDS))
  return [Asked(ids=ids, key=key) for ids, key in zip(IDS, keys, strict=True)]


@pytest.fixture(scope="module")
def sampler(model):
  return Sampler(model.params, model.config, HOW)


def first_logits(model, ids):
  """By the whole model, which knows of no cache and no shortened head."""
  inputs = jnp.array([ids])
  start = jnp.zeros((1, 1), jnp.int32)
  return np.asarray(
    T5(model.config).apply({"params": model.params}, inputs, start)
  )[0, 0]


def test_the_first_symbol_has_the_distribution_of_the_model(model):
  """Chi-square, among the ten likeliest symbols that stand for text."""
  decoder = sampling.text_decoder(model.params, model.config, length=1)
  samples = sampling.draw(
    decoder,
    jnp.array(IDS[:1]),
    jax.random.split(jax.random.key(3), 1),
    num_samples=4000,
    length=1,
    top_k=10,
    special=dataclasses.replace(sampling.TEXT, end=None),
  )
  logits = first_logits(model, IDS[0]).astype(np.float64)
  logits[[0, 2]] = -np.inf
  logits[32_000:] = -np.inf
  best = np.argsort(-logits)[:10]
  weights = np.exp(logits[best] - logits[best].max())
  counts = np.array([(samples.symbols == symbol).sum() for symbol in best])
  assert counts.sum() == 4000
  test = stats.chisquare(counts, 4000 * weights / weights.sum())
  assert test.pvalue > 0.01
  flat = np.sqrt(weights) / np.sqrt(weights).sum()
  assert stats.chisquare(counts, 4000 * flat).pvalue < 1e-6


def test_sentinels_and_unknowns_are_never_written(model):
  """Though the model likes nothing better."""
  kernel = model.params["decoder"]["logits_dense"]["kernel"]
  sign = np.sign(kernel[:, 100])[:, None]
  liked = 3 * np.abs(kernel).max() * sign
  kernel = np.array(kernel)
  kernel[:, 32_000:] = liked
  kernel[:, [0, 2]] = liked
  decoder = {**model.params["decoder"], "logits_dense": {"kernel": kernel}}
  params = {**model.params, "decoder": decoder}
  found = Sampler(params, model.config, HOW)
  for queries in found.draw(asked(), length=8):
    for query in queries:
      assert "⁇" not in query.text and "extra_id" not in query.text
      assert query.text


def test_texts_are_what_the_symbols_say(sampler, model):
  decoder = sampling.text_decoder(model.params, model.config, length=5)
  inputs = np.zeros((2, 8), np.int32)
  for row, ids in zip(inputs, IDS[:2], strict=True):
    row[: len(ids)] = ids
  given = asked()[:2]
  samples = sampling.draw(
    decoder,
    jnp.asarray(inputs),
    jnp.stack([one.key for one in given]),
    num_samples=6,
    length=5,
    temperature=1.0,
    top_k=10,
  )
  found = list(sampler.draw(given, length=8))
  for queries, rows in zip(found, samples.symbols, strict=True):
    texts = [Tokenizer().decode(row) for row in rows]
    assert [query.text for query in queries] == [
      " ".join(text.split()) for text in texts
    ]
  np.testing.assert_allclose(
    [[query.log_probability for query in queries] for queries in found],
    samples.log_probabilities,
    atol=1e-4,
  )


def test_a_batch_that_is_not_full_and_the_same_again(sampler):
  found = list(sampler.draw(asked(), length=8))
  assert [len(queries) for queries in found] == [6, 6, 6]
  assert found == list(sampler.draw(asked(), length=8))
  other = list(sampler.draw(asked(1), length=8))
  assert all(a != b for a, b in zip(found, other, strict=True))


def test_a_model_of_docids_is_refused(model):
  config = dataclasses.replace(model.config, docid_vocab_size=9, docid_length=2)
  with pytest.raises(ConfigError, match="docids of 9 symbols"):
    sampling.text_decoder(model.params, config, length=4)


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"num_queries": 0}, "num_queries is 0"),
    ({"top_k": 0}, "top_k is 0; expected 1 or more, or None"),
    ({"temperature": 0.0}, "temperature is 0.0"),
  ],
)
def test_settings_that_cannot_be(wrong, message):
  with pytest.raises(ConfigError, match=message):
    SamplingConfig(**wrong)
