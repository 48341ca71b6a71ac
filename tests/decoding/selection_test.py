import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genret.decoding import selection
from genret.decoding.selection import DeviceTrie, Frontier
from genret.decoding.trie import Trie

# rows: 0 = 2 3 1, 1 = 2 3 5 1, 2 = 2 4 2 1, 3 = 4 3 1
# nodes: 0 = (), 1 = (2), 2 = (2 3)
CODES = np.array([[2, 3, 1, 0], [2, 3, 5, 1], [2, 4, 2, 1], [4, 3, 1, 0]])


@given(st.integers(0, 1 << 40))
def test_sizes_are_rounded_up_by_an_eighth_at_most(size):
  rounded = selection.round_up(size)
  assert max(size, 1) <= rounded <= max(size * 9 / 8, 1)
  assert bin(rounded).count("1") <= 4
  assert selection.round_up(rounded) == rounded


def test_a_placed_trie_is_the_trie_with_room_to_spare():
  trie = Trie.build(CODES, 6)
  placed = jax.device_get(DeviceTrie.place(trie, round_up=lambda n: n + 2))
  assert placed.rows.dtype == placed.symbol.dtype == np.uint16
  assert placed.rows.tolist() == [*CODES.tolist(), [0] * 4, [0] * 4]
  assert placed.symbol.tolist() == [2, 4, 3, 4, 1, 5, 0, 0]
  assert placed.child.tolist() == [1, ~3, 2, ~2, ~0, ~1, 0, 0]
  assert placed.indptr.tolist() == [0, 2, 4, 6, 6, 6]
  assert placed.widths == (4, 4, 4, 3)
  assert placed.root == 0


def test_the_only_docid_is_its_own_root():
  placed = DeviceTrie.place(Trie.build(np.array([[3, 2]]), 4))
  assert placed.root == ~0
  assert placed.widths == (1, 1)


def test_children_of_nodes_rows_and_finished_docids():
  placed = DeviceTrie.place(Trie.build(CODES, 6))
  following = jax.jit(selection.children, static_argnames="width")(
    placed, jnp.array([[1, ~3, 2, ~2]]), 3, width=3
  )
  # node 1, row 3 (ended before position 3), node 2, row 2 (forced EOS)
  assert following.symbols.tolist() == [
    [[3, 4, 0], [0, 0, 0], [1, 5, 0], [1, 0, 0]]
  ]
  assert following.allowed.sum(axis=-1).tolist() == [[2, 1, 2, 1]]


def test_scores_of_children_by_hand():
  following = selection.Children(
    symbols=jnp.array([[[2, 3], [0, 0], [1, 0]]]),
    allowed=jnp.array([[[True, True], [True, False], [True, False]]]),
  )
  probabilities = jnp.array([0.0, 0.5, 0.1, 0.4])
  logits = jnp.broadcast_to(jnp.log(probabilities) + 7, (1, 3, 4))
  raw = jnp.exp(selection.raw_scores(logits, following))
  np.testing.assert_allclose(raw, [[[0.1, 0.4], [1, 0], [0.5, 0]]], 1e-5)
  among = jnp.take_along_axis(logits, following.symbols, axis=-1)
  scores = jnp.exp(selection.renormalised_scores(among, following))
  np.testing.assert_allclose(scores, [[[0.2, 0.8], [1, 0], [1, 0]]], 1e-5)


def test_selection_keeps_the_best_in_the_order_of_their_prefixes():
  placed = DeviceTrie.place(Trie.build(CODES, 6))
  frontier = Frontier(
    states=jnp.array([[1, ~3]]),
    scores=jnp.array([[-1.0, -2.0]]),
    parents=jnp.zeros((1, 2), int),
    symbols=jnp.array([[2, 4]]),
  )
  following = selection.children(placed, frontier.states, 1, width=2)
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
