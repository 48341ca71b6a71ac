import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import ConfigError
from genret.docids import quality, uniform
from genret.docids.corpus import Listed


@given(st.integers(1, 60), st.integers(1, 3), st.integers(1, 9), st.integers(0))
@settings(max_examples=40, deadline=None)
def test_docids_are_distinct_and_of_the_shape_asked_for(count, levels, k, seed):
  corpus = Listed.named(map(str, range(count)))
  if count > k**levels:
    with pytest.raises(ConfigError, match=f"give {k**levels:,} docids"):
      uniform.fit(corpus, seed=seed, levels=levels, k=k)
    return
  table = uniform.fit(corpus, seed=seed, levels=levels, k=k)
  assert table.codes.shape == (count, levels)
  assert table.level_starts == tuple(2 + k * m for m in range(levels))
  assert table.vocab_size == 2 + k * levels
  assert not table.collisions()


def test_all_symbols_are_about_as_frequent():
  corpus = Listed.named(map(str, range(4000)))
  table = uniform.fit(corpus, levels=4, k=8)
  for level in quality.describe(table).levels:
    assert level.symbols == 8
    assert level.entropy == pytest.approx(3, abs=0.01)


def test_the_seed_decides():
  corpus = Listed.named("abcdefgh")
  one, again, other = (uniform.fit(corpus, seed=s).codes for s in (1, 1, 2))
  np.testing.assert_array_equal(one, again)
  assert (one != other).any()
