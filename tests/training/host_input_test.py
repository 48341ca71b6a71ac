"""Batches on a mesh, and positions of another number of shards."""

import itertools

import numpy as np
import pytest
from jax.sharding import PartitionSpec

from genret.core.errors import ConfigError
from genret.training.host_input import HostInput
from genret.training.partitioning import MeshShape


class Counting:
  """A feed whose n-th batch is full of n."""

  def __init__(self):
    self.place = 0

  def __iter__(self):
    return self

  def __next__(self):
    self.place += 1
    return {"numbers": np.full((4, 2), self.place - 1, np.int32)}

  def state(self):
    return {"place": self.place}

  def restore(self, state):
    self.place = state["place"]


@pytest.fixture
def batches():
  return HostInput(Counting(), MeshShape().build())


def numbers(batches):
  return [int(b["numbers"][0, 0]) for b in itertools.islice(batches, 3)]


def test_batches_lie_on_the_mesh_as_they_were_read(batches):
  batch = next(batches)["numbers"]
  assert batch.sharding.spec == PartitionSpec("data")
  np.testing.assert_array_equal(batch, np.zeros((4, 2)))


def test_a_state_goes_back_to_its_batch(batches):
  next(batches)
  state = batches.state()
  assert state == {"positions": [{"place": 1}]}
  assert numbers(batches) == [1, 2, 3]
  batches.restore(state, step=1)
  assert numbers(batches) == [1, 2, 3]


def test_positions_of_other_processes_are_refused(batches):
  saved = {"positions": [{"place": 9}, {"place": 8}]}
  with pytest.raises(ConfigError, match="by 2 shards.*1.*a model axis"):
    batches.restore(saved, step=5)


def test_asked_to_it_stands_where_a_run_of_these_processes_would(
  batches, capsys
):
  saved = {"positions": [{"place": 9}, {"place": 8}]}
  batches.restore(saved, step=5, other_topology=True)
  assert numbers(batches) == [5, 6, 7]
  assert "inexactly from step 5" in capsys.readouterr().out
