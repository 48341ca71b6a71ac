import os
import subprocess
import sys

import pytest

from genret.core import atomic


def dead_process() -> int:
  process = subprocess.Popen([sys.executable, "-c", "pass"])
  process.wait()
  return process.pid


def draft_name(pid, name="out"):
  return f".{name}.tmp-{atomic._host()}-{pid}-0123abcd"


def test_what_is_left_is_removed(tmp_path):
  with atomic.temporary(tmp_path / "out") as draft:
    draft.mkdir()
    (draft / "file").write_text("x")
  assert list(tmp_path.iterdir()) == []


def test_drafts_of_dead_processes_are_removed(tmp_path):
  stale = tmp_path / draft_name(dead_process())
  stale.mkdir()
  (stale / "file").write_text("x")
  ours = tmp_path / draft_name(os.getpid())  # a pid used again
  ours.write_text("x")
  with atomic.temporary(tmp_path / "out"):
    assert list(tmp_path.iterdir()) == []


def test_other_drafts_stay(tmp_path):
  others = [
    draft_name(os.getppid()),  # alive
    draft_name(dead_process(), name="another"),
    ".out.tmp-another_host-1-0123abcd",
    ".out.tmp",
  ]
  for name in others:
    (tmp_path / name).write_text("x")
  with atomic.temporary(tmp_path / "out") as one:
    one.write_text("x")
    with atomic.temporary(tmp_path / "out"):  # a second one of this process
      assert one.exists()
  assert sorted(p.name for p in tmp_path.iterdir()) == sorted(others)


def test_flush_tree_walks_folders(tmp_path):
  (tmp_path / "a").mkdir()
  (tmp_path / "a" / "b").write_text("x")
  atomic.flush_tree(tmp_path)


def test_fill_makes_a_folder_once(tmp_path):
  def make(path):
    path.mkdir()
    (path / "a").write_text("x")

  def fail(path):
    path.mkdir()
    raise KeyError

  atomic.fill(tmp_path / "out", make)
  atomic.fill(tmp_path / "out", fail)  # it stands already
  with pytest.raises(KeyError):
    atomic.fill(tmp_path / "other", fail)
  assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_of_two_who_fill_a_folder_the_first_is_kept(tmp_path):
  folder = tmp_path / "out"

  def make(path, text="theirs"):
    path.mkdir()
    (path / "a").write_text(text)

  def slowly(path):
    make(path, "ours")
    atomic.fill(folder, make)  # another process, meanwhile

  atomic.fill(folder, slowly)
  assert (folder / "a").read_text() == "theirs"
  assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path):
  def make(path):
    path.mkdir()
    (tmp_path / "out").write_text("x")

  with pytest.raises(OSError):
    atomic.fill(tmp_path / "out", make)
