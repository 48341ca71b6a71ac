import importlib.util
import math

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.embeddings import bert

D, HEADS, LAYERS, INNER = 4, 2, 2, 6
CONFIG = bert.BertConfig(
  vocab_size=11,
  emb_dim=D,
  num_layers=LAYERS,
  num_heads=HEADS,
  mlp_dim=INNER,
  max_positions=8,
)


def random_weights(seed=0):
  random = np.random.default_rng(seed)
  shapes = {
    "embeddings.word_embeddings.weight": (11, D),
    "embeddings.position_embeddings.weight": (8, D),
    "embeddings.token_type_embeddings.weight": (2, D),
  }
  norms = ["embeddings.LayerNorm"]
  for i in range(LAYERS):
    layer = f"encoder.layer.{i}"
    dense = {
      "attention.self.query": (D, D),
      "attention.self.key": (D, D),
      "attention.self.value": (D, D),
      "attention.output.dense": (D, D),
      "intermediate.dense": (INNER, D),
      "output.dense": (D, INNER),
    }
    for name, shape in dense.items():
      shapes[f"{layer}.{name}.weight"] = shape
      shapes[f"{layer}.{name}.bias"] = shape[:1]
    norms += [
      f"{layer}.attention.output.LayerNorm",
      f"{layer}.output.LayerNorm",
    ]
  for name in norms:
    shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (D,)
  return {
    name: random.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }


def normalised(w, name, x):
  x = (x - x.mean()) / math.sqrt(x.var() + 1e-12)
  return x * w[name + ".weight"] + w[name + ".bias"]


def dense(w, name, x):
  return w[name + ".weight"] @ x + w[name + ".bias"]


def gelu(x):
  return np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


def oracle(w, tokens):
  """One text, one token and one head at a time, in float64 NumPy."""
  xs = [
    normalised(
      w,
      "embeddings.LayerNorm",
      w["embeddings.word_embeddings.weight"][token]
      + w["embeddings.position_embeddings.weight"][i]
      + w["embeddings.token_type_embeddings.weight"][0],
    )
    for i, token in enumerate(tokens)
  ]
  size = D // HEADS
  for layer in range(LAYERS):
    name = f"encoder.layer.{layer}."
    query, key, value = (
      np.array([dense(w, f"{name}attention.self.{part}", x) for x in xs])
      for part in ("query", "key", "value")
    )
    context = np.zeros((len(xs), D))
    for head in range(HEADS):
      part = slice(head * size, (head + 1) * size)
      scores = np.exp(query[:, part] @ key[:, part].T / math.sqrt(size))
      scores /= scores.sum(1, keepdims=True)
      context[:, part] = scores @ value[:, part]
    for i, x in enumerate(xs):
      out = dense(w, name + "attention.output.dense", context[i])
      x = normalised(w, name + "attention.output.LayerNorm", x + out)
      inner = gelu(dense(w, name + "intermediate.dense", x))
      out = dense(w, name + "output.dense", inner)
      xs[i] = normalised(w, name + "output.LayerNorm", x + out)
  mean = np.mean(xs, axis=0)
  return mean / np.linalg.norm(mean)


@pytest.fixture(scope="module")
def encoded():
  weights = random_weights()
  tokens = np.zeros((4, 6), np.int32)
  tokens[0, :6] = [3, 1, 4, 1, 5, 9]
  tokens[1, :2] = [2, 7]
  tokens[2, :1] = [8]
  vectors = bert.sentence_vectors(
    bert.from_names(weights), tokens, config=CONFIG
  )
  return weights, tokens, np.asarray(vectors)


def test_equals_a_slow_reading_of_the_paper(encoded):
  weights, tokens, vectors = encoded
  wide = {name: value.astype(np.float64) for name, value in weights.items()}
  for row, vector in zip(tokens[:3], vectors[:3], strict=True):
    np.testing.assert_allclose(vector, oracle(wide, row[row > 0]), atol=1e-5)


def test_vectors_are_of_length_one_but_for_empty_rows(encoded):
  _, _, vectors = encoded
  lengths = np.linalg.norm(vectors, axis=1)
  np.testing.assert_allclose(lengths, [1, 1, 1, 0], atol=1e-6)


@pytest.fixture(scope="module")
def tree():
  return bert.from_names(random_weights())


@pytest.mark.skipif(
  any(importlib.util.find_spec(m) is None for m in ("torch", "transformers")),
  reason="torch and transformers come with genret[interop]",
)
def test_the_states_after_each_layer_are_those_of_transformers():
  import torch
  from transformers import BertConfig, BertModel

  torch.manual_seed(0)
  theirs = BertModel(
    BertConfig(
      vocab_size=CONFIG.vocab_size,
      hidden_size=D,
      num_hidden_layers=LAYERS,
      num_attention_heads=HEADS,
      intermediate_size=INNER,
      max_position_embeddings=CONFIG.max_positions,
      layer_norm_eps=CONFIG.norm_epsilon,
      initializer_range=1.0,
    )
  ).eval()
  tokens = np.array([[3, 1, 4, 1, 5], [2, 7, 0, 0, 0]])
  with torch.no_grad():
    expected = theirs(
      torch.from_numpy(tokens),
      attention_mask=torch.from_numpy((tokens > 0).astype(int)),
      output_hidden_states=True,
    ).hidden_states
  weights = {k: v.numpy() for k, v in theirs.state_dict().items()}
  tree = bert.from_names(weights)
  x = bert.embed(tree, tokens, config=CONFIG)
  mask = bert.key_mask(tokens)
  for last, states in enumerate(expected):
    found = bert.states(tree, x, mask=mask, config=CONFIG, last=last)
    np.testing.assert_allclose(
      found[tokens > 0], states.numpy()[tokens > 0], atol=1e-5
    )


def test_layers_go_on_where_others_stopped(tree):
  tokens = np.array([[3, 1, 4, 0]])
  mask = bert.key_mask(tokens)
  x = bert.embed(tree, tokens, config=CONFIG)
  whole = bert.states(tree, x, mask=mask, config=CONFIG)
  half = bert.states(tree, x, mask=mask, config=CONFIG, last=1)
  rest = bert.states(tree, half, mask=mask, config=CONFIG, first=1)
  np.testing.assert_array_equal(rest, whole)


def test_texts_of_a_packed_row_do_not_see_each_other(tree):
  """Each has the states that it has in a row of its own."""
  packed = np.array([[3, 1, 4, 2, 7, 0]])
  segments = np.array([[1, 1, 1, 2, 2, 0]])
  positions = np.array([[0, 1, 2, 0, 1, 0]])
  x = bert.embed(tree, packed, config=CONFIG, positions=positions)
  mask = bert.segment_mask(segments)
  together = bert.states(tree, x, mask=mask, config=CONFIG)[0]
  for start, stop in ((0, 3), (3, 5)):
    alone = packed[:, start:stop]
    x = bert.embed(tree, alone, config=CONFIG)
    mask = bert.key_mask(alone)
    expected = bert.states(tree, x, mask=mask, config=CONFIG)[0]
    np.testing.assert_allclose(together[start:stop], expected, atol=1e-5)


def test_joined_kernels_compute_the_same(tree):
  attention = tree["layers_0"]["attention"]
  parts = [attention[name] for name in bert.JOINED.split("+")]
  joined = {
    leaf: np.concatenate([part[leaf] for part in parts], axis=-1)
    for leaf in ("kernel", "bias")
  }
  fused = {bert.JOINED: joined, "out": attention["out"]}
  tokens = np.array([[3, 1, 4, 0]])
  x = bert.embed(tree, tokens, config=CONFIG)
  mask = bert.key_mask(tokens)
  ours = bert.layer(
    tree["layers_0"] | {"attention": fused}, x, mask=mask, config=CONFIG
  )
  apart = bert.layer(tree["layers_0"], x, mask=mask, config=CONFIG)
  np.testing.assert_allclose(ours, apart, atol=1e-6)


def test_bfloat16_is_near_float32(tree):
  tokens = np.array([[3, 1, 4, 1]])
  mask = bert.key_mask(tokens)
  near, exact = (
    bert.states(
      tree,
      bert.embed(tree, tokens, config=CONFIG, dtype=dtype),
      mask=mask,
      config=CONFIG,
    )
    for dtype in ("bfloat16", "float32")
  )
  assert near.dtype == "bfloat16"
  np.testing.assert_allclose(near.astype("float32"), exact, atol=0.2)


def test_dropout_is_asked_at_three_places_a_layer(tree):
  asked = []

  def drop(x, site):
    asked.append((site, x.shape))
    return x

  tokens = np.array([[3, 1, 4]])
  x = bert.embed(tree, tokens, config=CONFIG)
  bert.layer(
    tree["layers_0"],
    x,
    mask=bert.key_mask(tokens),
    config=CONFIG,
    means=bert.Means(drop=drop),
  )
  assert asked == [(0, (1, HEADS, 3, 3)), (1, (1, 3, D)), (2, (1, 3, D))]


def test_a_missing_array_is_named():
  weights = random_weights()
  del weights["encoder.layer.1.attention.self.key.bias"]
  with pytest.raises(
    ConfigError, match=r"layer\.1\.attention\.self\.key\.bias"
  ):
    bert.from_names(weights)


def test_texts_longer_than_there_are_positions_are_refused(tree):
  with pytest.raises(ConfigError, match="9 tokens .* 8 positions"):
    bert.embed(tree, np.ones((1, 9), int), config=CONFIG)


def test_a_position_that_there_is_not_is_no_number(tree):
  tokens, positions = np.ones((1, 2), int), np.array([[7, 8]])
  x = bert.embed(tree, tokens, config=CONFIG, positions=positions)
  assert np.isfinite(x[0, 0]).all()
  assert np.isnan(x[0, 1]).all()


def test_heads_that_do_not_divide_the_width_are_refused():
  with pytest.raises(ConfigError, match="num_heads is 5"):
    bert.BertConfig(num_heads=5)
