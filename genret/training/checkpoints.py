"""Checkpoints of a run: the newest two and the best, through orbax.

A checkpoint is one orbax composite a step: `state` (parameters, optimizer,
step) and `input` (where in the stream of examples the run stands). Orbax
writes into a temporary folder and renames, so a checkpoint is whole or absent.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from genret.core.errors import ArtifactError
from genret.training.step import TrainState

NEWEST_KEPT = 2
CPU_SECONDS = "cpu_seconds.json"
"""Step of each checkpoint -> process time that the run took to get there."""


class Checkpoints:
  """The folder `checkpoints/` of a model folder, one sub-folder a step.

  Args:
    folder: The folder; made when absent unless `read_only`.
    measure: The dev measure whose largest value marks the best checkpoint.
    read_only: Open to load only; nothing is made or removed.
  """

  def __init__(
    self, folder: Path, *, measure: str | None, read_only: bool = False
  ):
    logging.getLogger("absl").setLevel(logging.ERROR)
    self._folder = Path(folder).absolute()
    self._measure = measure
    keep = [checkpoint_managers.LatestN(NEWEST_KEPT)]
    if measure is not None:
      best = checkpoint_managers.BestN(
        get_metric_fn=self._score, n=1, keep_checkpoints_without_metrics=False
      )
      keep.append(best)
    self._manager = ocp.CheckpointManager(
      self._folder,
      options=ocp.CheckpointManagerOptions(
        create=not read_only,
        read_only=read_only,
        best_fn=self._score if measure is not None else None,
        cleanup_tmp_directories=not read_only,
        preservation_policy=checkpoint_managers.AnyPreservationPolicy(keep),
      ),
      item_names=("state", "input"),
    )

  def _score(self, metrics: Mapping[str, float] | None) -> float:
    if not metrics or self._measure not in metrics:
      return float("-inf")
    return metrics[self._measure]

  @property
  def newest(self) -> int | None:
    """The last step with a whole checkpoint; None before the first."""
    return self._manager.latest_step()

  @property
  def best(self) -> int | None:
    """The step with the best dev measure; the newest where none has one."""
    if self._measure is None:
      return self.newest
    return self._manager.best_step() or self.newest

  @property
  def steps(self) -> tuple[int, ...]:
    """All steps kept, ascending."""
    return tuple(sorted(self._manager.all_steps()))

  def save(
    self,
    state: TrainState,
    *,
    position: Mapping[str, Any],
    metrics: Mapping[str, float],
  ) -> None:
    """Starts saving in the background; the state is copied before return.

    Args:
      state: The state after `state.step` steps.
      position: Where the input stands, JSON-serialisable, taken when the last
        batch was consumed.
      metrics: Dev measures of this state; empty where none was taken.
    """
    self._manager.save(
      int(state.step),
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state),
        input=ocp.args.JsonSave(dict(position)),
      ),
      metrics=dict(metrics) or None,
    )

  def restore(self, like: TrainState, step: int) -> TrainState:
    """Restores a state with the shapes and the placement of another.

    Args:
      like: Arrays, or shapes with shardings; the devices need not be as many
        as those it was saved from.
      step: Which one.
    """
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardRestore(jax.tree.map(_abstract, like))
      ),
    )
    return restored["state"]

  def restore_position(self, step: int) -> Mapping[str, Any]:
    """Restores where the input stood at a step."""
    restored = self._manager.restore(
      step, args=ocp.args.Composite(input=ocp.args.JsonRestore())
    )
    return restored["input"]

  def restore_params(self, step: int, placements: Any = None) -> Any:
    """Restores the parameters alone at a step.

    Any process may, on its own: it waits for no other.

    Args:
      step: Which one.
      placements: A tree of shardings on devices of this process, each of which
        then reads its own part; None for NumPy arrays.

    Raises:
      ArtifactError: If the step has no checkpoint.
    """
    if step not in self.steps:
      raise ArtifactError(
        f"{self._folder} has no checkpoint of step {step}; it has"
        f" {', '.join(map(str, self.steps)) or 'none'}."
      )
    folder = self._folder / str(step) / "state"
    checkpointer = _lone_checkpointer()
    tree = checkpointer.metadata(folder).item_metadata.tree["params"]
    return checkpointer.restore(
      folder,
      args=ocp.args.PyTreeRestore(
        item={"params": tree},
        restore_args={"params": _restore_args(tree, placements)},
        partial_restore=True,
      ),
    )["params"]

  def wait(self) -> None:
    """Returns when what was saved is whole on disk."""
    self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits, then releases the manager's threads."""
    self._manager.close()


def _restore_args(tree: Any, placements: Any) -> Any:
  if placements is None:
    return jax.tree.map(
      lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree
    )
  return jax.tree.map(
    lambda _, placement: ocp.ArrayRestoreArgs(sharding=placement),
    tree,
    placements,
  )


def _lone_checkpointer() -> ocp.Checkpointer:
  """Returns one that has no barriers with other processes."""
  process = jax.process_index()
  options = ocp.options.MultiprocessingOptions(
    primary_host=process,
    active_processes={process},
    barrier_sync_key_prefix=f"alone_{process}",
  )
  return ocp.Checkpointer(
    ocp.PyTreeCheckpointHandler(multiprocessing_options=options),
    multiprocessing_options=options,
  )


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
