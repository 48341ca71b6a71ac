import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.decoding import selection
from genret.decoding.device_trie import DeviceTrie, Level
from genret.decoding.selection import Frontier
from genret.decoding.trie import Trie

# rows: 0 = 2 3 1, 1 = 2 3 5 1, 2 = 2 4 2 1, 3 = 4 3 1
# nodes: 0 = (), 1 = (2), 2 = (2 3)
CODES = np.array([[2, 3, 1, 0], [2, 3, 5, 1], [2, 4, 2, 1], [4, 3, 1, 0]])


def level(width):
  return Level.bound(np.full(3, width), prefixes=3)


def test_children_of_nodes_rows_and_finished_docids():
  placed = DeviceTrie.place(Trie.build(CODES, 6))
  following = jax.jit(selection.children, static_argnames="level")(
    placed, jnp.array([[1, ~3, 2, ~2]]), 3, level=level(3)
  )
  assert following.parents.tolist() == [[0, 1, 2, 3]]
  # node 1, row 3 (ended before position 3), node 2, row 2 (forced EOS)
  assert following.symbols.tolist() == [
    [[3, 4, 0], [0, 0, 0], [1, 5, 0], [1, 0, 0]]
  ]
  assert following.allowed.sum(axis=-1).tolist() == [[2, 1, 2, 1]]


@flax.struct.dataclass
class Head:
  """A decoder's head alone: what is hidden are the logits."""

  def logits(self, hidden, t):
    return hidden

  def logits_at(self, hidden, t, candidates):
    return jnp.take_along_axis(hidden, candidates, axis=-1)


def test_scores_of_children_by_hand():
  following = selection.Children(
    parents=jnp.array([[0, 1, 2]]),
    edges=jnp.zeros((1, 3), int),
    symbols=jnp.array([[[2, 3], [0, 0], [1, 0]]]),
    allowed=jnp.array([[[True, True], [True, False], [True, False]]]),
  )
  probabilities = jnp.array([0.0, 0.5, 0.1, 0.4])
  logits = jnp.broadcast_to(jnp.log(probabilities) + 7, (1, 3, 4))
  for scoring, want in {
    "raw": [[[0.1, 0.4], [1, 0], [0.5, 0]]],
    "renormalised": [[[0.2, 0.8], [1, 0], [1, 0]]],
  }.items():
    scores = selection.scores_of(
      Head(), logits, following, t=0, scoring=scoring
    )
    np.testing.assert_allclose(jnp.exp(scores), want, 1e-5)


def test_wide_nodes_are_gathered_in_several_spans():
  """300 symbols below the root, 3 below symbol 7: spans of 128."""
  docids = [[s, 2] for s in range(2, 302) if s != 7] + [[7, s] for s in (2, 5)]
  placed = DeviceTrie.place(Trie.build(np.array(docids), 302))
  wide = Level.bound(np.array([300, 2]), prefixes=2)
  states = jnp.array([[0, ~0, 1]])  # the root, a row, and the node of 7
  following = selection.children(placed, states, 1, level=wide)
  assert following.parents[0, :5].tolist() == [0, 0, 0, 1, 2]
  # The row comes to its symbol at position 1; the bound leaves spare spans.
  got = following.symbols[0][following.allowed[0]].tolist()
  assert got == [*range(2, 302), 2, 2, 5]
  logits = jnp.log(jax.random.uniform(jax.random.key(0), (1, 3, 302)))
  scores = selection.scores_of(
    Head(), logits, following, t=1, scoring="renormalised"
  )
  of = np.exp(scores[0])
  np.testing.assert_allclose(of[:3].sum(), 1, 1e-5)
  among = np.exp(logits[0, 2, jnp.array([2, 5])])
  np.testing.assert_allclose(of[4, :2], among / among.sum(), 1e-5)
  assert of[3, 0] == 1 and of.sum() == pytest.approx(3)


def test_selection_keeps_the_best_in_the_order_of_their_prefixes():
  placed = DeviceTrie.place(Trie.build(CODES, 6))
  frontier = Frontier(
    states=jnp.array([[1, ~3]]),
    scores=jnp.array([[-1.0, -2.0]]),
    parents=jnp.zeros((1, 2), int),
    symbols=jnp.array([[2, 4]]),
  )
  following = selection.children(placed, frontier.states, 1, level=level(2))
  scores = jnp.array([[[-3.0, -2.0], [-1.0, -jnp.inf]]])
  select = jax.jit(selection.select, static_argnames="num_beams")
  kept = select(placed, frontier, following, scores=scores, num_beams=2)
  # 2 3 has -4; 2 4 and 4 3 have -3 each
  assert kept.states.tolist() == [[~2, ~3]]
  assert kept.scores.tolist() == [[-3.0, -3.0]]
  assert kept.parents.tolist() == [[0, 1]]
  assert kept.symbols.tolist() == [[4, 3]]
  more = select(placed, frontier, following, scores=scores, num_beams=6)
  assert more.states[:, :3].tolist() == [[2, ~2, ~3]]
  assert np.isneginf(more.scores[:, 3:]).all()
