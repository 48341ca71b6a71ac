import os
import subprocess
import sys

import pytest

from genret.core import chatter

LOUD = b"""\
WARNING: All log messages before absl::InitializeLog() is called are written
I0000 00:00:1795416461.742091   30611 port.cc:153] oneDNN custom operations
I0000 00:00:1795416461.742495   30611 cudart_stub.cc:31] Could not find cuda
"""


def test_only_chatter_is_left_out(capfd):
  with chatter.without(chatter.TENSORFLOW):
    os.write(2, b"an error\n" + LOUD + b"of our own\n")
  os.write(2, b"later\n")
  assert capfd.readouterr().err == "an error\nof our own\nlater\n"


def test_what_was_said_before_an_exception_is_shown(capfd):
  with (
    pytest.raises(RuntimeError),
    chatter.without(chatter.TENSORFLOW),
  ):
    os.write(2, LOUD + b"the reason\n")
    raise RuntimeError
  assert capfd.readouterr().err == "the reason\n"


def test_a_process_without_stderr():
  code = (
    "import os; os.close(2)\n"
    "from genret.core import chatter\n"
    "with chatter.without(chatter.TENSORFLOW): print('went on')\n"
  )
  shown = subprocess.check_output([sys.executable, "-c", code], text=True)
  assert shown == "went on\n"
