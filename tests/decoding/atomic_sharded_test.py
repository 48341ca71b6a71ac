"""A head in eight parts is searched as one, and never put together."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def report(on_eight_devices):
  return on_eight_devices(HERE / "atomic_sharded_searches.py")


def test_eight_devices_find_what_one_finds(report):
  assert report["devices"] == 8
  assert len(report["cases"]) == 7
  for case in report["cases"]:
    assert case["rows"] and case["empty"], case
    assert case["scores"] < 1e-6, case
    assert case["found"] > 0, case


def test_no_device_holds_the_head_or_all_scores(report):
  assert report["cases"][0]["shapes"] == {
    "parts": [[80, 16]],  # of 640 rows
    "whole": False,
    "part": True,
    "all scores": False,
    "chunk": True,
  }


def test_what_does_not_fit_is_refused(report):
  narrow, unlike, nowhere = report["refusals"]
  assert "docids have 601 symbols, the head 600" in narrow
  assert "a head of 608 symbols" in unlike and "[640]" in unlike
  assert "a head of 640 symbols" in nowhere and "[]" in nowhere
