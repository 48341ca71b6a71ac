import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genret.corpora import seen
from genret.corpora.seen import Seen


@given(st.lists(st.text(max_size=3)), st.text(max_size=3))
def test_a_set_says_the_same(keys, other):
  made, known = Seen(), set()
  for key in keys:
    assert made.add(key) == (key not in known)
    known.add(key)
    assert key in made
  assert (other in made) == (other in known)
  assert len(made) == len(known)


def test_it_grows_and_keeps_what_it_has():
  made = Seen()
  assert all(made.add(f"d{i}") for i in range(50_000))
  assert not any(made.add(f"d{i}") for i in range(50_000))
  assert all(f"d{i}" in made for i in range(50_000))
  assert not any(f"e{i}" in made for i in range(50_000))
  assert len(made) == 50_000
  assert made._table.nbytes == 8 * (1 << 17)  # 75,000 fit into 87,381


@pytest.mark.parametrize("size", [1 << 5, 1 << 6])
def test_growing_wraps_round_the_end(monkeypatch, size):
  """All codes want the last slot of the grown table or one near it."""
  monkeypatch.setattr(seen, "_code", int)
  monkeypatch.setattr(seen, "_SLOTS", size)
  made, twice = Seen(), 2 * size
  codes = [twice * (i + 1) - 1 - i % 3 for i in range(size)]
  for code in codes:
    assert made.add(str(code))
  assert len(made._table) == twice
  assert all(str(code) in made for code in codes)
  assert str(codes[-1] + 1) not in made
  assert np.count_nonzero(made._table) == len(codes) == len(made)
