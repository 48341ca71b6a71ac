"""Batches by seqio's own pipeline, of any task or mixture it knows."""

import base64
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clu.data.dataset_iterator import TfDatasetIterator

from genret.core.errors import ConfigError
from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.packing import Features


def training_dataset(
  mixture: seqio.Mixture | seqio.Task | str,
  *,
  lengths: Mapping[str, int],
  batch_size: int,
  pack: bool = True,
  seed: int = 0,
  shard: seqio.ShardInfo | None = None,
) -> tf.data.Dataset:
  """Runs a mixture through seqio: shuffled, mixed, repeated, batched.

  Args:
    mixture: a mixture or task, or the name of one; its split `train`, or
      its only one.
    lengths: {"inputs": L, "targets": T} of a row.
    batch_size: rows in a batch.
    pack: whether a row holds several examples.
    seed: decides the order of examples, which is the same on every run.
    shard: which part of the examples to read.

  Returns:
    An endless dataset of batches with the features of
    `seqio.EncDecFeatureConverter`.
  """
  if isinstance(mixture, str):
    mixture = seqio.get_mixture_or_task(mixture)
  splits = mixture.splits
  dataset = seqio.get_dataset(
    mixture,
    task_feature_lengths=dict(lengths),
    feature_converter=seqio.EncDecFeatureConverter(pack=pack),
    dataset_split=splits[0] if len(splits) == 1 else "train",
    shuffle=True,
    num_epochs=None,
    shard_info=shard,
    seed=seed,
    batch_size=batch_size,
    verbose=False,
  )
  options = tf.data.Options()
  options.deterministic = True
  return dataset.with_options(options)


class SeqioBatches:
  """Endless batches of `training_dataset`; see `feed.Batches`.

  A state holds what TensorFlow saves of an iterator: shuffle buffers and
  in-memory caches too, so it is as large as these are. It is of use to the
  version of TensorFlow that wrote it.

  Args:
    mixture: a mixture or task.
    **options: of `training_dataset`.
  """

  def __init__(self, mixture: seqio.Mixture | seqio.Task, **options: Any):
    dataset = training_dataset(mixture, **options)
    self._batches = TfDatasetIterator(dataset, checkpoint=True)

  def __iter__(self) -> "SeqioBatches":
    """Returns itself."""
    return self

  def __next__(self) -> Features:
    """Returns the next batch: int32 arrays of `batch_size` rows."""
    return next(self._batches)

  def state(self) -> dict[str, Any]:
    """Returns, as JSON, where the next batch begins."""
    with tempfile.TemporaryDirectory() as folder:
      self._batches.save(Path(folder) / "position")
      files = {
        path.name: base64.b64encode(path.read_bytes()).decode("ascii")
        for path in sorted(Path(folder).iterdir())
      }
    return {"tensorflow": tf.__version__, "files": files}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes to where a state was taken.

    Args:
      state: from `state`, of batches opened with the same arguments.

    Raises:
      ConfigError: it is of another version of TensorFlow, or of a feed of
        another kind.
    """
    if state.get("tensorflow") != tf.__version__:
      raise ConfigError(
        "The saved input position was written by TensorFlow "
        f"{state.get('tensorflow', 'not at all')}; this is {tf.__version__}. "
        "Resume with the first run's version, or begin anew."
      )
    with tempfile.TemporaryDirectory() as folder:
      for name, text in state["files"].items():
        (Path(folder) / name).write_bytes(base64.b64decode(text))
      self._batches.restore(Path(folder) / "position")
