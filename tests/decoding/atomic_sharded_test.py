"""A head in eight parts is searched as one, and never put together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def report():
  found = subprocess.run(
    [sys.executable, str(HERE / "atomic_sharded_searches.py")],
    env=os.environ
    | {
      "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
      "JAX_PLATFORMS": "cpu",
      "PYTHONPATH": str(HERE.parents[1]),
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert found.returncode == 0, found.stderr
  return json.loads(found.stdout.splitlines()[-1])


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
