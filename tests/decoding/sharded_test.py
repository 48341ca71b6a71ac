"""A trie in eight parts is searched as one."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genret.decoding import sharded

HERE = Path(__file__).parent


def test_eight_devices_find_what_one_finds(on_eight_devices):
  report = on_eight_devices(HERE / "sharded_searches.py")
  [(parts, rows, _)] = report["shards"]
  assert parts == 1 and rows < 40  # an eighth of 150 docids, not all
  for case in report["cases"]:
    assert case["rows"], case
    assert case["scores"] < 1e-5, case
    assert case["found"] > 0, case


@given(st.lists(st.integers(2, 12), min_size=1, max_size=60), st.integers(1, 9))
def test_rows_are_cut_between_first_symbols(symbols, parts):
  symbols = np.sort(symbols)
  bounds = sharded._split(symbols, parts)
  assert len(bounds) == parts + 1
  assert bounds[0] == 0 and bounds[-1] == len(symbols)
  assert (np.diff(bounds) >= 0).all()
  for cut in bounds[1:-1]:
    if 0 < cut < len(symbols):
      assert symbols[cut - 1] < symbols[cut]
