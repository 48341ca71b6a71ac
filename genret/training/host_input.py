"""Batches of all processes: rows from each, positions of each."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from genret.core.errors import ConfigError
from genret.tasks.feed import Batches
from genret.training import cluster, partitioning


class HostInput:
  """An endless iterator of batches that lie on a mesh.

  Each process reads the rows that its own devices hold; none is sent over.

  Args:
    feed: Rows of this process, of its `partitioning.input_shard`.
    mesh: Where batches go.
  """

  def __init__(self, feed: Batches, mesh: Mesh):
    self._feed = feed
    self._sharding = partitioning.batch_sharding(mesh)
    self._shard = partitioning.input_shard(mesh)

  def __iter__(self) -> "HostInput":
    """Returns itself."""
    return self

  def __next__(self) -> dict[str, jax.Array]:
    """Returns the next batch, its rows split over `data`."""
    rows = dict(next(self._feed))
    if jax.process_count() == 1:
      return jax.device_put(rows, self._sharding)
    return {name: self._joined(part) for name, part in rows.items()}

  def _joined(self, rows: np.ndarray) -> jax.Array:
    shape = (len(rows) * self._shard.count, *rows.shape[1:])
    return jax.make_array_from_process_local_data(self._sharding, rows, shape)

  def state(self) -> dict[str, Any]:
    """Returns, as JSON, where each shard's next rows begin.

    Only process 0 has those of all.
    """
    found = cluster.gather([self._shard.index, self._feed.state()])
    positions = dict(found)
    return {"positions": [positions[shard] for shard in sorted(positions)]}

  def restore(
    self, saved: Mapping[str, Any], *, step: int, other_topology: bool = False
  ) -> None:
    """Goes to where a state was taken.

    Args:
      saved: From `state`.
      step: Batches that had been read there.
      other_topology: Whether a state of other shards will do. Then rows are
        skipped up to where a run of these shards would stand; which examples
        earlier steps have seen is not quite the same.

    Raises:
      ConfigError: If the state is of other shards and that will not do.
    """
    positions, shards = saved["positions"], self._shard
    theirs = len(positions)
    if theirs == shards.count:
      self._feed.restore(positions[shards.index])
      return
    if not other_topology:
      raise ConfigError(
        f"The checkpoint of step {step:,} was written by {theirs} shards of"
        f" input; here there are {shards.count}, so the order of examples"
        " would be another. Take as many processes and a model axis as before,"
        " which make the shards, or go on inexactly with"
        " --allow_other_topology=True."
      )
    if cluster.is_first():
      tqdm.write(
        f"going on inexactly from step {step:,}: {theirs} shards of input"
        f" there, {shards.count} here; earlier steps saw other examples than"
        " those skipped now"
      )
    hidden = not cluster.is_first()
    for _ in tqdm(range(step), desc="skipping", delay=2, disable=hidden):
      next(self._feed)
