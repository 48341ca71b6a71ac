"""What is drawn has the distribution of the model, by its definition."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from genret.core.errors import UserError
from genret.decoding import sampling
from genret.decoding.sampling import Special

# Wide enough to be drawn from block by block.
WIDE = 300

draw = jax.jit(sampling.sample, static_argnames=sampling.STATIC)


def keys(num=2, *, seed=0):
  return jax.random.split(jax.random.key(seed), num)


def drawn(*args, **kwargs):
  return jax.device_get(draw(*args, **kwargs))


def distribution(logits, *, temperature, top_k):
  """Temperature, then the k greatest of all symbols but the pad, then 1."""
  logits = logits / temperature
  logits[0] = -np.inf
  if top_k is not None:
    logits[np.argsort(-logits, kind="stable")[top_k:]] = -np.inf
  weights = np.exp(logits - logits.max())
  return weights / weights.sum()


def chi_square(symbols, expected):
  """Pearson's statistic and its degrees of freedom.

  Cells in which fewer than five are expected count as one with the first.
  """
  counts = np.bincount(symbols, minlength=len(expected))
  assert len(counts) == len(expected) and not counts[expected == 0].any()
  expected = expected * len(symbols)
  large = expected >= 5
  if not large.any():
    return 0.0, 0
  rest, expected_rest = counts[~large].sum(), expected[~large].sum()
  counts, expected = counts[large], expected[large]
  counts[0], expected[0] = counts[0] + rest, expected[0] + expected_rest
  return ((counts - expected) ** 2 / expected).sum(), len(counts) - 1


def p_value(decoder, encoded, symbols, **distributed):
  """How likely so unlikely first and second symbols are, [B, K, 2]."""
  total = freedom = 0
  for query, samples in zip(
    np.asarray(encoded["query"]), symbols.tolist(), strict=True
  ):
    followers = collections.defaultdict(list)
    for first, second in samples:
      followers[()].append(first)
      followers[first,].append(second)
    for prefix, following in followers.items():
      logits = decoder.prefix_logits(query, [prefix])[0]
      statistic, more = chi_square(
        following, distribution(logits, **distributed)
      )
      total, freedom = total + statistic, freedom + more
  assert freedom > 5
  return stats.chi2.sf(total, freedom)


@pytest.mark.parametrize(
  ("vocab_size", "temperature", "top_k"),
  [
    (8, 0.7, None),
    (8, 1.5, 3),
    (WIDE, 1.0, None),
    (WIDE, 0.8, 10),
    (WIDE, 1.3, 200),
  ],
)
def test_symbols_have_the_distribution_of_the_model(
  toy, vocab_size, temperature, top_k
):
  decoder, encoded = toy.decoder(vocab_size=vocab_size), toy.queries()
  samples = drawn(
    decoder,
    encoded,
    keys(),
    num_samples=3000,
    length=2,
    temperature=temperature,
    top_k=top_k,
    special=Special(end=None),
  )
  assert samples.symbols.all()  # 1 is a symbol as any other
  given = decoder, encoded, samples.symbols
  assert p_value(*given, temperature=temperature, top_k=top_k) > 0.01
  # The same statistic sees a temperature that is not quite right.
  assert p_value(*given, temperature=1.2 * temperature, top_k=top_k) < 1e-6


def greedy(decoder, query, length):
  prefix = ()
  while len(prefix) < length and 1 not in prefix:
    logits = decoder.prefix_logits(query, [prefix])[0]
    prefix = (*prefix, 1 + int(logits[1:].argmax()))
  return list(prefix) + [0] * (length - len(prefix))


@pytest.mark.parametrize("setting", [{"top_k": 1}, {"temperature": 1e-30}])
def test_the_limit_is_greedy(toy, setting):
  decoder, encoded = toy.decoder(), toy.queries(6)
  samples = drawn(decoder, encoded, keys(6), num_samples=2, length=6, **setting)
  want = [greedy(decoder, query, 6) for query in np.asarray(encoded["query"])]
  assert any(0 in row for row in want)  # some end
  assert samples.symbols.tolist() == [[row, row] for row in want]


def test_log_probabilities_are_the_sum_by_definition(toy):
  """Of the model's own distribution, whatever they were drawn from."""
  decoder, encoded = toy.decoder(), toy.queries()
  samples = drawn(
    decoder,
    encoded,
    keys(),
    num_samples=20,
    length=6,
    temperature=2.0,
    top_k=5,
  )
  ends = 0
  for b, query in enumerate(np.asarray(encoded["query"])):
    for k, row in enumerate(samples.symbols[b].tolist()):
      row = row[: row.index(1) + 1] if 1 in row else row
      ends += 1 in row
      want = 0.0
      for t, symbol in enumerate(row):
        logits = decoder.prefix_logits(query, [tuple(row[:t])])[0]
        want += logits[symbol] - np.log(np.exp(logits).sum())
      got = samples.log_probabilities[b, k]
      np.testing.assert_allclose(got, want, atol=1e-5)
  assert 0 < ends < 40


def test_nothing_follows_the_end(toy):
  samples = drawn(
    toy.decoder(), toy.queries(), keys(), num_samples=50, length=6
  )
  lengths = set()
  for row in samples.symbols.reshape(-1, 6).tolist():
    length = row.index(1) + 1 if 1 in row else 6
    assert 0 not in row[:length] and not any(row[length:])
    lengths.add(length)
  assert {1, 6} < lengths


@pytest.mark.parametrize("setting", [{"top_k": 4}, {}])
def test_a_query_is_the_same_in_every_batch(toy, setting):
  decoder, encoded = toy.decoder(), toy.queries(5)
  setting = {"num_samples": 9, "length": 2, **setting}
  all_keys = keys(5)
  whole = drawn(decoder, encoded, all_keys, **setting)
  again = drawn(decoder, encoded, all_keys, **setting)
  np.testing.assert_array_equal(whole.symbols, again.symbols)
  order = np.array([3, 1])
  some = {"query": encoded["query"][order]}
  part = drawn(decoder, some, all_keys[order], **setting)
  np.testing.assert_array_equal(whole.symbols[order], part.symbols)
  other = drawn(decoder, encoded, keys(5, seed=1), **setting)
  assert (whole.symbols != other.symbols).any(axis=(1, 2)).all()
  assert len(np.unique(whole.symbols.reshape(-1, 2), axis=0)) > 10


def test_one_sample_of_one_symbol(toy):
  samples = drawn(toy.decoder(), toy.queries(), keys(), num_samples=1, length=1)
  assert samples.symbols.shape == (2, 1, 1)
  assert samples.symbols.all()


@pytest.mark.parametrize("top_k", [None, 2])
def test_by_hand_pad_is_never_drawn_and_keeps_its_share(toy, top_k):
  """P(0) = .9; of the rest the ends are .06, the others .04."""
  chain = toy.chain(table=jnp.array([[0.9, 0.06, 0.04]] * 3))
  samples = drawn(
    chain, jnp.zeros((1, 1)), keys(1), num_samples=9, length=2, top_k=top_k
  )
  of = {(1, 0): 0.06, (2, 1): 0.04 * 0.06, (2, 2): 0.04 * 0.04}
  want = [of[tuple(row)] for row in samples.symbols[0].tolist()]
  assert len(set(want)) > 1
  np.testing.assert_allclose(
    np.exp(samples.log_probabilities[0]), want, rtol=1e-5
  )


@pytest.mark.parametrize("top_k", [None, 2])
def test_where_only_the_pad_is_possible_a_sample_ends(toy, top_k):
  chain = toy.chain(table=jnp.array([[0, 0, 1.0], [0, 0, 0], [1, 0, 0]]))
  samples = drawn(
    chain, jnp.zeros((1, 1)), keys(1), num_samples=2, length=3, top_k=top_k
  )
  assert samples.symbols.tolist() == [[[2, 0, 0]] * 2]
  assert samples.log_probabilities.tolist() == [[0.0] * 2]


def test_the_walk_ends_when_all_have_ended(toy):
  table = jnp.array([[0, 0, 1.0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]])
  asked = []
  chain = toy.chain(table=table, asked=lambda t: asked.append(int(t)))
  samples = drawn(chain, jnp.zeros((2, 1)), keys(), num_samples=3, length=9)
  jax.effects_barrier()
  assert samples.symbols.tolist() == [[[2, 3, 1] + [0] * 6] * 3] * 2
  assert sorted(asked) == [0, 1, 2]


def test_slots_that_have_ended_change_nothing(toy, monkeypatch):
  """Fewer slots are read on, and every sample is what it would have been."""
  given = toy.decoder(), toy.queries(), keys(seed=1)
  setting = {"num_samples": 16, "length": 6, "top_k": 6}
  fewer = drawn(*given, **setting)
  ended = (fewer.symbols[:, :, 4] == 0).sum(axis=-1)
  assert (ended >= 8).all() and (ended < 16).all()
  monkeypatch.setattr(sampling, "_HALVINGS", 0)
  plain = jax.jit(lambda *args: sampling.sample(*args, **setting))(*given)
  np.testing.assert_array_equal(fewer.symbols, plain.symbols)
  np.testing.assert_allclose(
    fewer.log_probabilities, plain.log_probabilities, rtol=1e-5
  )


@pytest.mark.parametrize("top_k", [None, 2])
def test_some_symbols_are_never_drawn(toy, top_k):
  chain = toy.chain(table=jnp.array([[0.1, 0.2, 0.3, 0.4]] * 4))
  samples = drawn(
    chain,
    jnp.zeros((1, 1)),
    keys(1),
    num_samples=50,
    length=1,
    top_k=top_k,
    special=Special(never=(3,)),
  )
  assert set(samples.symbols.ravel().tolist()) == {1, 2}
  of = {1: 0.2, 2: 0.3}
  want = [of[symbol] for symbol in samples.symbols.ravel().tolist()]
  got = np.exp(samples.log_probabilities.ravel())
  np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("top_k", [None, 8])
def test_a_hot_draw_takes_symbols_only(toy, top_k):
  """Not the columns by which the head is padded, though all are equal."""
  samples = drawn(
    toy.decoder(),
    toy.queries(),
    keys(),
    num_samples=500,
    length=1,
    temperature=1e6,
    top_k=top_k,
    special=Special(end=None),
  )
  assert set(samples.symbols.ravel().tolist()) == set(range(1, 8))


def test_the_best_by_hand():
  """The pad leaves its place to the next; of equal ones the smaller stay."""
  logits = jnp.array([[[5.0, 2, 7, 2, 2]], [[0, 1, 2, 3, 4]]])
  values, symbols = sampling.best(logits, 3)
  assert symbols[0, 0].tolist() == [2, 0, 1, 3]
  assert values[0, 0].tolist() == [7, -np.inf, 2, 2]
  assert symbols[1, 0, :3].tolist() == [4, 3, 2]
  assert values[1, 0].tolist() == [4, 3, 2, -np.inf]
  values, symbols = sampling.best(logits, 1, never=(0, 2))
  assert values[0, 0].tolist() == [-np.inf, -np.inf, 2]
  assert symbols[:, 0].tolist() == [[2, 0, 1], [4, 3, 2]]
  values, symbols = sampling.best(logits, 9)  # more than there are
  assert symbols[0, 0].tolist() == [2, 0, 1, 3, 4]
  assert values[0, 0].tolist() == [7, -np.inf, 2, 2, 2]


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"temperature": 0.0}, "temperature must be above 0"),
    ({"temperature": float("nan")}, "temperature must be above 0"),
    ({"temperature": 1e7}, "at most 1e[+]06, got 1"),
    ({"top_k": 0}, "top_k must be at least 1, got 0"),
    ({"num_samples": 0}, "num_samples must be at least 1, got 0"),
    ({"length": 0}, "length must be at least 1, got 0"),
  ],
)
def test_numbers_out_of_range_are_refused(toy, wrong, message):
  setting = {"num_samples": 2, "length": 2, **wrong}
  with pytest.raises(UserError, match=message):
    sampling.sample(toy.decoder(), toy.queries(), keys(), **setting)


def test_a_key_for_each_query_is_asked_for(toy):
  given = toy.decoder(), toy.queries()
  for wrong in (jax.random.key(0), keys(3)):
    with pytest.raises(UserError, match="each of the 2 queries"):
      sampling.sample(*given, wrong, num_samples=2, length=2)
