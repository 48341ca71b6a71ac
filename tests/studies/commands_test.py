"""Commands alone on a core, their costs and their ends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from genret.studies import commands
from genret.studies.commands import BusyError, Commands, FailedError

CORE = min(os.sched_getaffinity(0))

# A study that runs a command which never ends by itself.
ENDLESS = """
import sys, threading
from pathlib import Path
from genret.studies import commands
commands._ALONE += "\\n"
commands._ALONE = commands._ALONE.replace(
  "os.execv", "Path = __import__('pathlib').Path\\n"
  "Path(%r).write_text(str(os.getpid()))\\n"
  "__import__('time').sleep(600)\\nos.execv")
commands.Commands(print).run(["--version"], log=Path(%r), core=%d)
"""


def test_a_command_has_its_cost_and_its_log(tmp_path):
  log = tmp_path / "logs" / "one.log"
  running = Commands(print)
  seconds = running.run(["--version"], log=log, core=CORE)
  assert 0 < seconds < 60
  assert "$ genret --version\ngenret " in log.read_text()
  with pytest.raises(FailedError, match="ended with 2: no command 'nonsense'"):
    running.run(["nonsense"], log=log, core=CORE)
  running.stop()
  with pytest.raises(commands.StoppedError):
    running.run(["--version"], log=log, core=CORE)


def test_a_fault_is_told_by_its_last_line(tmp_path):
  log = tmp_path / "log"
  log.write_text("before\nTraceback ..\n  File x\nKeyError: 'a'\n")
  assert commands.complaint(log, 7) == "KeyError: 'a'"
  log.write_text("error: no such split\n  12%|..| warning at exit\n")
  assert commands.complaint(log, 0) == "no such split"
  assert commands.complaint(log, 1000) == "it printed nothing"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's own means")
def test_a_command_ends_with_the_study_even_if_that_is_killed(tmp_path):
  pid = tmp_path / "pid"
  code = ENDLESS % (str(pid), str(tmp_path / "log"), CORE)
  study = subprocess.Popen([sys.executable, "-c", code])
  while not (pid.exists() and pid.read_text()):
    assert study.poll() is None
    time.sleep(0.05)
  study.send_signal(signal.SIGKILL)
  study.wait()
  for _ in range(200):
    if not _alive(int(pid.read_text())):
      return
    time.sleep(0.05)
  pytest.fail("the command outlives its study")


def _alive(pid):
  try:
    state = open(f"/proc/{pid}/stat").read().split()[2]
  except FileNotFoundError:
    return False
  return state != "Z"


def test_a_lock_is_held_by_one_process(tmp_path):
  path = tmp_path / "deep" / "lock"
  context = multiprocessing.get_context("fork")
  with commands.held(path, wait=False):
    other = context.Process(target=_take, args=(path,))
    other.start()
    other.join()
    assert other.exitcode == 3
  with commands.held(path, wait=False):
    pass


def _take(path):
  try:
    with commands.held(path, wait=False):
      os._exit(0)
  except BusyError:
    os._exit(3)


def test_lines_are_logged_with_their_time(tmp_path, capsys):
  log = commands.Log(tmp_path / "a" / "log.txt")
  log("one")
  log("two")
  lines = (tmp_path / "a" / "log.txt").read_text().splitlines()
  assert [line.split("  ")[1] for line in lines] == ["one", "two"]
  assert capsys.readouterr().err.splitlines() == lines
