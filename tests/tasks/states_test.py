import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from genret.core import artifacts
from genret.core.errors import ArtifactError, ConfigError
from genret.tasks import states
from genret.tasks.examples import Examples
from genret.tasks.states import NAME, PROGRESS, StateRows, encoded_once

WIDTH = 3
LONGEST = 600  # rows that are encoded
RECIPE = artifacts.Recipe(stage="states", arguments={"task": "test"})


def examples(count: int = 5_000, longest: int = 600) -> Examples:
  rng = np.random.default_rng(0)
  sizes = np.minimum(rng.geometric(1 / 60, count), longest)
  rows = [(i, rng.integers(2, 30_000, size)) for i, size in enumerate(sizes)]
  return Examples.collect(rows, input_length=longest)


def encode(tokens):
  """States that depend on the token, its place and the whole input."""
  used = tokens > 0
  mean = tokens.sum(1, keepdims=True) / used.sum(1, keepdims=True)
  place = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
  found = np.stack([tokens / 30_000, place, np.sqrt(tokens + mean)], axis=-1)
  return np.float32(found)


def computed(folder, of, with_=encode, **settings):
  return encoded_once(
    of,
    with_,
    width=WIDTH,
    max_length=LONGEST,
    folder=folder,
    recipe=RECIPE,
    **settings,
  )


def test_states_are_those_of_each_input_alone(tmp_path):
  of = examples()
  found = computed(tmp_path / "states", of)
  assert found.states.dtype == np.float16
  assert found.states.shape == (len(of.tokens), WIDTH)
  assert found.tokens is of.tokens
  assert of.lengths.max() > 512 and of.lengths.min() == 2
  for i in range(0, of.num_examples, 7):
    [alone] = encode(of[i][None].astype(np.int32))
    mine = found.states[of.offsets[i] : of.offsets[i + 1]]
    assert np.array_equal(mine, alone.astype(np.float16))


def test_an_input_that_comes_again_is_computed_once(tmp_path):
  once = examples(20, longest=40)
  rows = [once[i % 20][:-1] for i in range(60)]  # without their ends
  of = Examples.collect(list(enumerate(rows)), input_length=40)
  encoded = []

  def counted(tokens):
    encoded.extend(row.tobytes() for row in tokens)
    return encode(tokens)

  found = computed(tmp_path / "states", of, counted)
  assert len(set(encoded)) == 20
  again = computed(tmp_path / "once", once)
  assert np.array_equal(found.states, np.tile(again.states, (3, 1)))


def test_few_shapes_are_computed(tmp_path):
  shapes = set()

  def noting(tokens):
    shapes.add(tokens.shape)
    assert (tokens[:, 0] > 0).all()  # no row is padding alone
    return encode(tokens)

  computed(tmp_path / "states", examples(), noting)
  assert len(shapes) == len({length for _, length in shapes}) <= 12
  assert max(length for _, length in shapes) == LONGEST


class Killed(Exception):
  pass


def test_one_that_was_killed_gives_the_same_bytes(tmp_path):
  of = examples()
  whole = computed(tmp_path / "whole", of).states.tobytes()
  counts = []

  def dying(tokens):
    counts[-1] += 1
    if counts[-1] == 60:
      raise Killed
    return encode(tokens)

  for _ in range(20):
    counts.append(0)
    try:
      found = computed(tmp_path / "killed", of, dying)
      break
    except Killed:  # in the middle of the next write
      with open(tmp_path / "killed" / NAME, "ab") as file:
        file.write(b"half")
  assert len(counts) > 2
  assert found.states.tobytes() == whole
  counts.append(0)
  again = computed(tmp_path / "killed", of, dying)
  assert counts[-1] == 0 and again.states.tobytes() == whole


# Kills itself with a signal that nothing catches, in its second block.
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import states_test
calls = 0
def dying(tokens):
  global calls
  calls += 1
  if calls == 60:
    os.kill(os.getpid(), signal.SIGKILL)
  return states_test.encode(tokens)
states_test.computed(sys.argv[2], states_test.examples(), dying)
"""


def test_a_process_that_was_killed_is_gone_on_from(tmp_path, request):
  here = str(request.path.parent)
  arguments = [sys.executable, "-c", KILLED, here, str(tmp_path / "killed")]
  done = subprocess.run(arguments, check=False)
  assert done.returncode == -signal.SIGKILL
  progress = json.loads((tmp_path / "killed" / PROGRESS).read_text("utf-8"))
  assert 0 < progress["examples"] < examples().num_examples
  found = computed(tmp_path / "killed", examples())
  whole = computed(tmp_path / "whole", examples())
  assert np.array_equal(found.states, whole.states)


def test_states_of_something_else_are_not_taken(tmp_path):
  computed(tmp_path / "states", examples(5))
  other = artifacts.Recipe(stage="states", arguments={"task": "other"})
  with pytest.raises(ArtifactError, match="argument task is"):
    encoded_once(
      examples(5),
      encode,
      width=WIDTH,
      max_length=LONGEST,
      folder=tmp_path / "states",
      recipe=other,
    )


def test_a_file_that_lost_bytes_is_found(tmp_path):
  computed(tmp_path / "states", examples(5))
  file = tmp_path / "states" / NAME
  file.write_bytes(file.read_bytes()[:-1])
  with pytest.raises(ArtifactError, match="computed anew"):
    computed(tmp_path / "states", examples(5))


@pytest.mark.parametrize("value", [1e6, np.nan])
def test_numbers_that_float16_cannot_hold_are_refused(tmp_path, value):
  with pytest.raises(ConfigError, match="too large for float16"):
    computed(
      tmp_path / "states",
      examples(5),
      lambda tokens: np.full((*tokens.shape, WIDTH), value, np.float32),
    )


def test_a_disk_without_room_is_said_beforehand(tmp_path):
  of = examples(9)
  assert states.num_bytes(of, 384) == len(of.tokens) * 384 * 2
  states.check_room(tmp_path, states.num_bytes(of, 384))
  with pytest.raises(ConfigError, match=r"need 1,000,000\.0 GB more in .*Make"):
    states.check_room(tmp_path, 10**15)


def test_rows_of_several_tasks():
  parts = [np.arange(6.0).reshape(3, 2), np.arange(6.0, 10.0).reshape(2, 2)]
  places = np.array([[3, 4, 0], [5, 1, 1]])
  assert StateRows(parts).gather(places).tolist() == [
    [[4, 5], [6, 7], [0, 0]],
    [[8, 9], [0, 1], [0, 1]],
  ]
