import numpy as np
import pytest
from scipy import stats

from genret.core.errors import ConfigError
from genret.querygen.drawing import CANDIDATES, draw
from genret.querygen.prompting import Decoding


def softmax(row):
  weights = np.exp(row - row.max())
  return weights / weights.sum()


def slow(row, uniform, decoding):
  """One row, symbol by symbol, as the paper has it."""
  shares = softmax(row.astype(np.float64) / decoding.temperature)
  order = sorted(range(len(row)), key=lambda i: (-shares[i], i))
  nucleus, mass = [], 0.0
  for symbol in order[:CANDIDATES]:
    nucleus.append(symbol)
    mass += shares[symbol]
    if mass >= decoding.top_p:
      break
  reach = uniform * mass
  for symbol in nucleus:
    reach -= shares[symbol]
    if reach < 0:
      return symbol
  return nucleus[-1]


@pytest.mark.parametrize("temperature", [0.5, 1.3])
def test_equals_a_slow_nucleus(temperature):
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(40, 30)).astype(np.float32) * 3
  uniforms = rng.random(40)
  decoding = Decoding(temperature=temperature, top_p=0.9)
  chosen, scores = draw(logits, uniforms, decoding)
  for row, uniform, symbol, score in zip(
    logits, uniforms, chosen, scores, strict=True
  ):
    assert symbol == slow(row, uniform, decoding)
    assert score == pytest.approx(np.log(softmax(row)[symbol]), abs=1e-5)


def test_draws_are_of_the_distribution():
  row = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32))
  rng = np.random.default_rng(1)
  n = 4000
  chosen, _ = draw(
    np.tile(row, (n, 1)), rng.random(n), Decoding(temperature=1.0, top_p=1.0)
  )
  counts = np.bincount(chosen, minlength=4)
  assert stats.chisquare(counts, [1600, 1200, 800, 400]).pvalue > 0.001


def test_no_temperature_takes_the_best():
  logits = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 0.0]], np.float32)
  chosen, _ = draw(logits, np.array([0.99, 0.99]), Decoding(temperature=0.0))
  assert chosen.tolist() == [1, 0]


def test_settings_are_checked():
  with pytest.raises(ConfigError, match="top_p"):
    Decoding(top_p=0.0)
