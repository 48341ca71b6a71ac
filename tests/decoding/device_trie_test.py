import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genret.decoding import device_trie
from genret.decoding.device_trie import DeviceTrie, Level
from genret.decoding.trie import Trie

CODES = np.array([[2, 3, 1, 0], [2, 3, 5, 1], [2, 4, 2, 1], [4, 3, 1, 0]])


@given(st.integers(0, 1 << 40))
def test_sizes_are_rounded_up_by_a_sixteenth_at_most(size):
  rounded = device_trie.round_up(size)
  assert max(size, 1) <= rounded <= max(size * 17 / 16, 1)
  assert bin(rounded).count("1") <= 5 or rounded % 8_192 == 0
  assert rounded - max(size, 1) < 8_192
  assert device_trie.round_up(rounded) == rounded


def test_a_placed_trie_is_the_trie_with_room_to_spare():
  trie = Trie.build(CODES, 6)
  placed = jax.device_get(DeviceTrie.place(trie, round_up=lambda n: n + 2))
  assert placed.rows.dtype == placed.symbol.dtype == np.uint16
  assert placed.rows.tolist() == [*CODES.tolist(), [0] * 4, [0] * 4]
  assert placed.symbol.tolist() == [2, 4, 3, 4, 1, 5, 0, 0]
  assert placed.child.tolist() == [1, ~3, 2, ~2, ~0, ~1, 0, 0]
  assert placed.indptr.tolist() == [0, 2, 4, 6, 6, 6]
  assert [level.width for level in placed.levels] == [4, 4, 4, 3]
  # (); 2, 4; 2 3, 2 4, 4; 2 3 1, 2 3 5, 2 4, 4
  assert [level.prefixes for level in placed.levels] == [3, 4, 5, 6]
  assert placed.root == 0


def test_the_only_docid_is_its_own_root():
  placed = DeviceTrie.place(Trie.build(np.array([[3, 2]]), 4))
  assert placed.root == ~0
  assert [level.width for level in placed.levels] == [1, 1]


@given(
  degrees=st.lists(st.integers(1, 2000), max_size=30),
  rows=st.integers(0, 30),
  data=st.data(),
)
def test_spans_of_any_beams_are_within_the_bound(degrees, rows, data):
  level = Level.bound(np.array(degrees, int), prefixes=60)
  beams = data.draw(st.permutations(degrees + [1] * rows))
  beams = beams[: data.draw(st.integers(0, len(beams)))]
  if beams:
    spans = sum(-(-degree // level.width) for degree in beams)
    assert spans <= level.num_spans(len(beams))


@pytest.mark.parametrize("num_beams", [1, 2, 5, 40, 100, 1000, 12345])
def test_narrow_levels_take_one_span_a_beam(num_beams):
  level = Level.bound(np.array([3, 100, 128]), prefixes=3)
  assert level.num_spans(num_beams) == num_beams


def test_a_few_wide_nodes_do_not_widen_all_beams():
  level = Level.bound(np.array([12_800] + [5] * 10_000), prefixes=10_001)
  assert level.num_spans(40) <= 40 + 104
  assert level.num_spans(1) <= 104


def test_covering_bounds_hold_at_both_depths():
  wide = Level.bound(np.array([1000, 2]), prefixes=2)
  narrow = Level.bound(np.array([9] * 50), prefixes=50)
  both = narrow.covering(wide)
  assert both == wide.covering(narrow)
  assert both.width == wide.width
  assert both.num_spans(40) == wide.num_spans(40)
  assert both.prefixes == 50
