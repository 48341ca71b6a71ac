"""Searching with spread parameters finds what searching with whole ones does.

Atomic docids, whose head is searched in parts, and docids of a trie; on eight
virtual devices, the model axis among them or not.
"""

from pathlib import Path

HERE = Path(__file__).parent


def test_spread_parameters_find_what_whole_ones_find(on_eight_devices):
  report = on_eight_devices(HERE / "mesh_searches.py")
  assert len(report) == 6
  for name, found in report.items():
    assert found["same"], name
    assert found["furthest"] < 1e-4, name


def test_a_model_is_read_in_parts_and_searched_with(on_eight_devices):
  found = on_eight_devices(HERE / "mesh_load.py")
  assert found["same"] and found["furthest"] < 1e-4
  assert found["as placed"]
  assert found["head"] == [[16, 32], [4, 16]]
