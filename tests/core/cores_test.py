"""Cores are those the process may use, not those the machine has."""

import os
import subprocess
import sys

import pytest

from genret.core import cores


def test_as_many_as_the_process_may_use():
  assert 1 <= cores.available() <= os.cpu_count()


@pytest.mark.skipif(
  not hasattr(os, "sched_setaffinity"), reason="the system pins no process"
)
def test_a_pinned_process_counts_its_own():
  code = (
    "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
    "from genret.core import cores; print(cores.available())"
  )
  shown = subprocess.check_output([sys.executable, "-c", code], text=True)
  assert shown.split() == ["1"]
