import math

import numpy as np
import pytest

from genret.embeddings import bert

D, HEADS, LAYERS, INNER = 4, 2, 2, 6


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
    weights, tokens, num_layers=LAYERS, num_heads=HEADS
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
