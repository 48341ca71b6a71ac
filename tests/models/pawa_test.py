"""The prefix-aware head against one that makes every W(prefix)."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.decoding.beam_search import beam_search
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.exhaustive import exhaustive
from genret.decoding.sampling import sample
from genret.decoding.trie import Trie
from genret.models import layers, pawa
from genret.models.sizes import PawaConfig
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5

STARTS, SYMBOLS, LENGTH = (2, 5, 9), 12, 4
INPUTS = jnp.asarray([[5, 6, 7, 1], [8, 9, 1, 0]])
# Docids of one, two and three symbols and EOS: two rows of two, packed.
TARGETS = jnp.asarray([[2, 5, 11, 1, 3, 8, 1, 0], [4, 1, 2, 7, 9, 1, 0, 0]])
SEGMENTS = jnp.asarray([[1, 1, 1, 1, 2, 2, 2, 0], [1, 1, 2, 2, 2, 2, 0, 0]])
BEFORE = jnp.asarray([[0, 2, 5, 11, 0, 3, 8, 0], [0, 4, 0, 2, 7, 9, 0, 0]])
SOURCES = jnp.asarray([[1, 1, 2, 2], [1, 2, 2, 0]])
DOCIDS = np.asarray(
  [[2, 5, 11, 1], [2, 5, 9, 1], [2, 1, 0, 0], [3, 8, 1, 0], [4, 7, 10, 1]]
)


@pytest.fixture(scope="module")
def adaptive(config):
  return dataclasses.replace(
    config,
    num_encoder_layers=1,
    num_decoder_layers=1,
    docid_vocab_size=SYMBOLS,
    docid_length=LENGTH,
    level_starts=STARTS,
    head_multiple=16,
    pawa=PawaConfig(num_layers=1, num_heads=1, mlp_dim=12),
  )


def init(config):
  tokens = jnp.ones((1, 4), jnp.int32)
  return jax.jit(T5(config).init)(jax.random.key(1), tokens, tokens)["params"]


@functools.cache
def applied(config):
  return jax.jit(T5(config).apply)


def apply(config, params, before):
  return applied(config)({"params": params}, INPUTS, before)


@pytest.fixture(scope="module")
def tree(adaptive):
  return init(adaptive)


def plain_of(config):
  return dataclasses.replace(config, pawa=None)


def materialised(params, config, hidden, symbols):
  """Makes W of every prefix [B, T, D, V], each prefix read by itself."""
  own, rows = params["decoder"]["pawa"], []
  for t in range(symbols.shape[1]):
    prefix = symbols[:, : t + 1]
    bias = pawa.causal_bias(params, config, t + 1)
    rows.append(pawa.adapt(params, config, prefix, bias=bias)[:, -1])
  adapted = jnp.stack(rows, 1)
  names = ["end", *(f"level_{m}" for m in range(len(STARTS)))]
  matrices = jnp.concatenate([own[name]["kernel"] for name in names])
  linear = jnp.zeros((16, 16, 16)).at[1:SYMBOLS].set(matrices)  # [V, D, D]
  head = params["decoder"]["logits_dense"]["kernel"]
  weights = head + jnp.einsum("btj,vij->btiv", adapted, linear)
  scores = jnp.einsum("bti,btiv->btv", hidden, weights)
  allowed = np.zeros((symbols.shape[1], 16), bool)
  allowed[:, 1] = True
  for m, (a, b) in enumerate(zip(STARTS, (*STARTS[1:], SYMBOLS), strict=True)):
    allowed[m : m + 1, a:b] = True
  return jnp.where(allowed, scores, layers.NO_SYMBOL)


def oracle(params, config, inputs, symbols):
  plain = T5(plain_of(config))
  hidden = plain.apply({"params": params}, inputs, symbols, head=False)
  return materialised(params, config, hidden, symbols)


def test_equals_the_head_that_is_materialised(adaptive, tree):
  """Logits, and gradients of all parameters, of rows of one docid."""
  before = jnp.asarray([[0, 2, 5, 11], [0, 3, 8, 10]])
  weights = jnp.cos(jnp.arange(2 * 4 * 16.0)).reshape(2, 4, 16)

  def total(params, scores):
    found = scores(params)
    return (jnp.where(found > -1e8, found, 0) * weights).sum(), found

  def ours(params):
    return T5(adaptive).apply({"params": params}, INPUTS, before)

  graded = jax.jit(jax.grad(total, has_aux=True), static_argnums=1)
  got, scores = graded(tree, ours)
  slow = functools.partial(
    oracle, config=adaptive, inputs=INPUTS, symbols=before
  )
  want, expected = graded(tree, slow)
  np.testing.assert_allclose(scores, expected, atol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), got, want
  )
  norms = jax.tree.map(lambda x: float(jnp.abs(x).max()), got)
  assert min(jax.tree.leaves(norms["decoder"]["pawa"])) > 0


@pytest.fixture(scope="module")
def packed_scores(adaptive, tree):
  return applied(adaptive)(
    {"params": tree},
    INPUTS,
    BEFORE,
    encoder_segment_ids=SOURCES,
    decoder_segment_ids=SEGMENTS,
  )


def test_packed_docids_are_scored_as_by_themselves(
  adaptive, tree, packed_scores
):
  for row, first, size in ((0, 0, 4), (0, 4, 3), (1, 0, 2), (1, 2, 4)):
    segment = int(SEGMENTS[row, first])
    inputs = jnp.where(SOURCES[row] == segment, INPUTS[row], 0)
    # Pads before the text change nothing but relative positions, of which
    # only differences count.
    before = jnp.pad(BEFORE[row, first : first + size], (0, 4 - size))
    want = applied(adaptive)({"params": tree}, inputs[None], before[None])
    got = packed_scores[row, first : first + size]
    np.testing.assert_allclose(got, want[0, :size], atol=1e-5)


def test_a_few_symbols_at_a_time_change_nothing(monkeypatch):
  rng = np.random.default_rng(0)

  def draw(*shape):
    return jnp.asarray(rng.normal(size=shape), jnp.float32)

  arguments = draw(2, 3, 4), draw(2, 3, 4), draw(6, 4, 4)
  weights = draw(2, 3, 6)

  def slow(hidden, adapted, kernel):
    return jnp.einsum("bti,sij,btj->bts", hidden, kernel, adapted)

  def graded(scores):
    def total(*xs):
      return (scores(*xs) * weights).sum()

    return jax.jit(jax.value_and_grad(total, (0, 1, 2)))(*arguments)

  want = graded(slow)
  monkeypatch.setattr(pawa, "ALIVE", 24 * 2)
  assert pawa.at_a_time(24, 6) == 2
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    graded(pawa.products),
    want,
  )


def test_the_query_does_not_reach_the_adaptor(adaptive, tree):
  """Symbols alone go in; the first prefix is the learned vector's."""

  @jax.jit
  def adapt(params):
    bias = pawa.causal_bias(params, adaptive, 8)
    bias = bias + layers.segment_bias(SEGMENTS, SEGMENTS)
    return pawa.adapt(params, adaptive, BEFORE, bias=bias)

  adapted = adapt(tree)
  np.testing.assert_allclose(adapted[0, 0], adapted[1, 2], atol=1e-6)
  assert np.abs(adapted[0, 1] - adapted[1, 1]).max() > 0.01


@pytest.mark.slow
def test_without_scale_it_is_the_plain_head_of_a_level(adaptive):
  still = dataclasses.replace(adaptive, pawa=PawaConfig(init_scale=0.0))
  params = init(still)
  got = apply(still, params, BEFORE[:, :4])
  plain = apply(plain_of(still), params, BEFORE[:, :4])
  np.testing.assert_allclose(got[:, 0, 2:5], plain[:, 0, 2:5], atol=1e-6)
  assert (got[:, 0, 5:] == layers.NO_SYMBOL).all()
  assert (got[..., 0] == layers.NO_SYMBOL).all()


def test_the_parameters_of_others_are_as_they_were(adaptive, tree):
  plain = init(plain_of(adaptive))
  decoder = {k: v for k, v in tree["decoder"].items() if k != "pawa"}
  jax.tree.map(
    np.testing.assert_array_equal, plain, {**tree, "decoder": decoder}
  )


@pytest.fixture(scope="module")
def stepper(tree, adaptive):
  return T5Stepper.create(tree, adaptive)


def forced(params, config, rows):
  """[B, N], log-probabilities of whole docids by the whole model."""
  before = jnp.pad(rows[:, :-1], ((0, 0), (1, 0)))
  totals = []
  for row in range(len(rows)):
    both = jnp.broadcast_to(before[row], (2, rows.shape[1]))
    scores = jax.nn.log_softmax(apply(config, params, both))
    of = jnp.broadcast_to(rows[row], both.shape)[..., None]
    gains = jnp.take_along_axis(scores, of, -1)[..., 0]
    totals.append(jnp.where(of[..., 0] > 0, gains, 0).sum(-1))
  return np.stack(totals, 1)


def test_a_search_with_all_beams_ranks_as_teacher_forcing(
  stepper, tree, adaptive
):
  trie = Trie.build(DOCIDS.astype(np.uint16), SYMBOLS)
  placed = DeviceTrie.place(trie)
  search = jax.jit(beam_search, static_argnames="num_beams")
  encoded = jax.jit(T5Stepper.encode)(stepper, INPUTS)
  found = search(stepper, encoded, placed, num_beams=5)
  assert np.asarray(found.valid).sum(-1).tolist() == [5, 5]
  whole = jax.jit(exhaustive)(stepper, encoded, placed)
  np.testing.assert_array_equal(found.rows, whole.rows[:, :5])
  np.testing.assert_allclose(found.scores, whole.scores[:, :5], atol=1e-5)
  want = forced(tree, adaptive, jnp.asarray(DOCIDS[trie.order]))
  want = np.take_along_axis(want, np.asarray(found.rows), -1)
  np.testing.assert_allclose(found.scores, want, atol=1e-5)


def test_candidates_are_gathered_from_their_level(stepper):
  hidden = jnp.linspace(-1, 1, 128).reshape(2, 2, 32)
  candidates = jnp.asarray([[[5, 1], [8, 6]], [[6, 7], [5, 5]]])
  got = jax.jit(T5Stepper.logits_at)(stepper, hidden, 1, candidates)
  whole = jax.jit(T5Stepper.logits, static_argnums=2)(stepper, hidden, 1)
  want = jnp.take_along_axis(whole, candidates, axis=-1)
  np.testing.assert_allclose(got, want, atol=1e-5)
  assert want.min() > -1e8 and (whole[..., 9:] == layers.NO_SYMBOL).all()


@pytest.mark.slow
def test_samples_write_one_level_after_another(stepper, tree, adaptive):
  draw = jax.jit(sample, static_argnames=("num_samples", "length"))
  keys = jax.random.split(jax.random.key(0), 2)
  drawn = draw(
    stepper, stepper.encode(INPUTS), keys, num_samples=16, length=LENGTH
  )
  columns = pawa.level_of_columns(adaptive)
  levels = columns[np.asarray(drawn.symbols)]  # [B, K, T]
  written = np.asarray(drawn.symbols) > 1
  assert (levels == np.arange(LENGTH))[written].all() and written.any()
  want = forced(tree, adaptive, drawn.symbols[:, 0])
  np.testing.assert_allclose(
    drawn.log_probabilities[:, 0], np.diagonal(want), atol=1e-4
  )


def test_levels_of_a_mixed_row(adaptive):
  got = pawa.levels_after(adaptive, jnp.asarray([0, 2, 4, 5, 8, 9, 11, 1]))
  assert got.tolist() == [0, 1, 1, 2, 2, 3, 3, 3]


def test_a_model_without_levels_says_what_to_make(adaptive, config):
  with pytest.raises(ConfigError, match="level_starts is not set"):
    dataclasses.replace(config, pawa=PawaConfig())
  with pytest.raises(ConfigError, match="have none before"):
    dataclasses.replace(adaptive, docid_length=1)
  with pytest.raises(ConfigError, match="expected 2, then"):
    dataclasses.replace(adaptive, level_starts=(2, 9, 5))


def test_the_head_cannot_be_left_to_the_caller(adaptive, tree):
  with pytest.raises(ConfigError, match="Loss.head"):
    T5(adaptive).apply({"params": tree}, INPUTS, BEFORE[:, :4], head=False)


@pytest.mark.slow
def test_layers_scanned_made_again_or_narrow(adaptive):
  deep = dataclasses.replace(
    adaptive, pawa=PawaConfig(num_layers=2), scan_layers=True, remat="full"
  )
  params = init(deep)
  want = apply(deep.plain, params, BEFORE[:, :4])
  got = apply(deep, params, BEFORE[:, :4])
  np.testing.assert_allclose(got, want, atol=1e-5)
  narrow = dataclasses.replace(deep.plain, dtype="bfloat16")
  got = apply(narrow, params, BEFORE[:, :4])
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, want, atol=0.3)
