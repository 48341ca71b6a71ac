import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genret.core import text
from genret.core.text import Tokenizer
from genret.tasks import tokenising
from genret.tasks.examples import BLOCK_TEXTS, Examples
from genret.tasks.indexing import D2Q, DaQ

NUM_QUERIES = (tokenising.ALONE + 5) * BLOCK_TEXTS + 3


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
  path = tmp_path_factory.mktemp("queries") / "queries.tsv"
  path.write_text("".join(f"{'abc'[i % 3]}\t{i}\n" for i in range(NUM_QUERIES)))
  return D2Q(rate=1.0, path=str(path))


def test_processes_give_what_one_gives(queries, small):
  one, two = (
    Examples.joined(
      tokenising.blocks(queries, small, input_length=16, num_processes=count)
    )
    for count in (1, 2)
  )
  assert one.num_examples == NUM_QUERIES
  for name in ("tokens", "offsets", "documents"):
    assert np.array_equal(getattr(one, name), getattr(two, name))


def test_processes_end_with_a_reader_that_stops(queries, small):
  blocks = tokenising.blocks(queries, small, input_length=16, num_processes=2)
  taken = list(itertools.islice(blocks, tokenising.ALONE + 1))
  blocks.close()
  assert taken[-1].num_examples == BLOCK_TEXTS


# Kills itself once the others tokenise, and says who they are.
KILLED = """
import multiprocessing, os, signal, sys
from pathlib import Path
from genret.core.collection import Collection
from genret.tasks import tokenising
from genret.tasks.indexing import D2Q

if __name__ == "__main__":
  blocks = tokenising.blocks(
    D2Q(rate=1.0, path=sys.argv[2]), Collection.open(Path(sys.argv[1])),
    input_length=16, num_processes=2,
  )
  for _ in range(tokenising.ALONE + 1):
    next(blocks)
  pids = [child.pid for child in multiprocessing.active_children()]
  print(*pids, flush=True)
  os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_no_process(queries, small, tmp_path):
  script = tmp_path / "killed.py"
  script.write_text(KILLED)
  shown = subprocess.run(
    [sys.executable, script, small.root, queries.path],
    stdout=subprocess.PIPE,
    check=False,
    text=True,
    timeout=120,
  )
  assert shown.returncode == -signal.SIGKILL
  left = [int(pid) for pid in shown.stdout.split()]
  assert len(left) == 2
  deadline = time.monotonic() + 30
  while left and time.monotonic() < deadline:
    time.sleep(0.1)
    left = [pid for pid in left if _runs(pid)]
  assert not left


def _runs(pid: int) -> bool:
  try:
    stat = Path(f"/proc/{pid}/stat").read_text()
  except OSError:
    return False
  return stat.rpartition(")")[2].split()[0] != "Z"  # ended, not yet reaped


def test_blocks_are_the_examples_of_the_task(squad):
  config = DaQ(rate=1.0, num_spans=2)
  blocks = tokenising.blocks(config, squad, input_length=32)
  found = Examples.joined(blocks)
  whole = config.examples(squad, Tokenizer(), input_length=32)
  assert np.array_equal(found.tokens, whole.tokens)
  assert found.num_truncated == whole.num_truncated


def test_processes_use_the_vocabulary_asked_for(queries, small):
  blocks = list(
    itertools.islice(
      tokenising.blocks(
        queries,
        small,
        input_length=16,
        num_processes=2,
        vocabulary="bert_uncased",
      ),
      tokenising.ALONE + 2,
    )
  )
  wordpiece = text.vocabulary("bert_uncased")
  for place in (0, tokenising.ALONE + 1):  # here, and elsewhere
    number = place * BLOCK_TEXTS
    [expected] = wordpiece.encode([str(number)], max_length=16)
    assert blocks[place][0].tolist() == expected
