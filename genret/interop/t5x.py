"""Checkpoints of t5x, in each of its layouts, read and written.

    legacy    checkpoint_N/checkpoint (msgpack) and a zarr folder an array
    orbax     checkpoint_N/state, as orbax saves a tree

Either holds "target/…", the parameters, under names that are ours as well,
and "state/…", the step and the optimizer's. t5x itself is not needed here.
"""

import dataclasses
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import orbax.checkpoint as ocp
from flax import traverse_util

from genret.core.errors import ArtifactError
from genret.interop import leaves as named
from genret.interop import orbax_tree, stacked, t5x_legacy
from genret.interop.leaves import Leaf
from genret.interop.stacked import Stacking

Layout = Literal["legacy", "orbax"]
PREFIX = "checkpoint_"
_STEP = "step"


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5xCheckpoint:
  """What a checkpoint of t5x holds; nothing is read before it is asked for.

  Attributes:
    layout: "legacy" or "orbax".
    step: of the training.
    params: the parameters, by our names.
    state: the optimizer's, by t5x's names, as it is; "step" is not among it.
      Empty where there is none.
    stacking: how layers were stacked in `target`; None where they were not.
  """

  layout: Layout
  step: int
  params: dict[str, Leaf]
  state: dict[str, Leaf]
  stacking: Stacking | None = None

  @classmethod
  def open(cls, folder: Path) -> Self:
    """Lists what a checkpoint holds.

    Args:
      folder: `checkpoint_N`, or a folder with some of these, of which the
        one with the largest number is opened.

    Raises:
      ArtifactError: there is none, or it is no T5's.
    """
    folder = newest(Path(folder))
    layout = _layout(folder)
    if layout is None:
      raise ArtifactError(
        f"{folder} is no checkpoint of t5x: it has neither the file"
        f" {t5x_legacy.FILE!r} nor the folder 'state'. Give a folder such as"
        " checkpoint_1000000."
      )
    if layout == "legacy":
      content = t5x_legacy.read(folder)
    else:
      content = orbax_tree.read(folder / "state")
    params, stacking = stacked.unstack(named.below(content, "target"))
    state = named.below(content, "state")
    step = state.pop(_STEP, Leaf.of(np.int32(0)))
    return cls(
      layout=layout,
      step=int(step.read()),
      params=params,
      state=state,
      stacking=stacking,
    )

  def write(
    self,
    folder: Path,
    *,
    advance: Callable[[int], Any] = lambda _: None,
  ) -> Path:
    """Writes the checkpoint, in its layout, for t5x to restore.

    The legacy layout is written array by array. orbax saves a whole tree, so
    its arrays are in memory once while it does, memory-mapped ones apart.

    Args:
      folder: gets the folder `checkpoint_N`.
      advance: told the bytes of each array that is done.

    Returns:
      `checkpoint_N`.
    """
    params = self.params
    if self.stacking is not None:
      params = stacked.stack(params, self.stacking)
    state = self.state | {_STEP: Leaf.of(np.asarray(self.step, np.int32))}
    content = named.under(state, "state") | named.under(params, "target")
    content = dict(sorted(content.items()))
    path = Path(folder) / f"{PREFIX}{self.step}"
    if self.layout == "legacy":
      t5x_legacy.write(path, content, advance=advance)
    else:
      _write_orbax(path, content, advance)
    return path


def newest(folder: Path) -> Path:
  """Returns the checkpoint with the largest number in a folder, or itself."""
  steps = {
    int(found[1]): path
    for path in folder.glob(f"{PREFIX}*")
    if (found := re.fullmatch(rf"{PREFIX}(\d+)", path.name))
  }
  return steps[max(steps)] if steps else folder


def is_checkpoint(folder: Path) -> bool:
  """Says whether a folder is a checkpoint of t5x, or holds some."""
  return _layout(newest(Path(folder))) is not None


def _layout(folder: Path) -> Layout | None:
  if (folder / t5x_legacy.FILE).is_file():
    return "legacy"
  return "orbax" if (folder / "state" / "_METADATA").is_file() else None


def _write_orbax(
  path: Path, content: dict[str, Leaf], advance: Callable[[int], Any]
) -> None:
  logging.getLogger("absl").setLevel(logging.ERROR)
  flat = {}
  for name, leaf in content.items():
    flat[name] = np.asarray(leaf.read())
    advance(leaf.num_bytes)
  tree = traverse_util.unflatten_dict(flat, sep="/")
  # Left to itself orbax copies every array first.
  arrays = ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False)
  registry = ocp.type_handlers.create_type_handler_registry(
    (np.ndarray, arrays)
  )
  handler = ocp.PyTreeCheckpointHandler(type_handler_registry=registry)
  saver = ocp.Checkpointer(ocp.CompositeCheckpointHandler(state=handler))
  saver.save(
    path.absolute(), args=ocp.args.Composite(state=ocp.args.PyTreeSave(tree))
  )
  saver.close()
