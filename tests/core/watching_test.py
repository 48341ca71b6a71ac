"""A bar follows work that somebody else does."""

import io

import pytest
from tqdm import tqdm

from genret.core import watching


def test_the_bar_ends_where_the_work_ended():
  done = [1]
  bar = tqdm(total=5, file=io.StringIO())
  with watching.watched(lambda: done[0], bar):
    done[0] = 5
  assert bar.n == 5


def test_what_fails_meanwhile_is_raised_and_the_bar_closed():
  shown = io.StringIO()
  bar = tqdm(total=2, file=shown)
  with (
    pytest.raises(RuntimeError, match="full"),
    watching.watched(lambda: 2, bar),
  ):
    raise RuntimeError("the disk is full")
  assert shown.getvalue().endswith("\n")
