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
