"""Batches for the training loop, from a mixture, restartable anywhere."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from genret.core.errors import ConfigError, suggest
from genret.tasks import stream_feed
from genret.tasks.examples import Examples
from genret.tasks.host_tensorflow import seqio
from genret.tasks.packing import Features, RowLengths
from genret.tasks.seqio_feed import SeqioBatches
from genret.tasks.sources import ExamplesSource
from genret.tasks.states import StateRows
from genret.tasks.stream import Ingredient, Stream

_FEATURES = ("inputs", "targets")


class Batches(Protocol):
  """An endless iterator of batches that can say where it stands."""

  def __iter__(self) -> "Batches":
    """Returns itself."""

  def __next__(self) -> Features:
    """Returns the next batch: arrays of `batch_size` rows."""

  def state(self) -> dict[str, Any]:
    """Returns, as JSON, where the next batch begins."""

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes to where a state was taken."""


def training_batches(
  mixture: seqio.Mixture | seqio.Task | str,
  *,
  lengths: Mapping[str, int],
  batch_size: int,
  pack: bool = True,
  seed: int = 0,
  shard: seqio.ShardInfo | None = None,
  states: Callable[[], Mapping[str, Examples]] | None = None,
) -> Batches:
  """Opens the training examples of a mixture.

  Mixtures that `mixtures.build` made are read from their arrays; any other
  is run through seqio's own pipeline, which is slower. Either way the
  batches are a function of the arguments, and `state` is exact: it is that
  of the batch last returned, whatever is prepared ahead.

  Args:
    mixture: a mixture or task of seqio, or the name of one.
    lengths: {"inputs": L, "targets": T} of a row. A packed row holds many
      examples, so T is then best several docids long.
    batch_size: rows in a batch, of this shard.
    pack: whether a row holds several examples.
    seed: decides the order of examples.
    shard: which part of the examples this process reads.
    states: called at the first batch; returns the examples of each task, by
      its name, with their states. A token that is left out by chance is left
      out of the states too, and the others are those of the whole input.

  Returns:
    Batches with seqio's encoder-decoder features: encoder_input_tokens,
    decoder_target_tokens, decoder_input_tokens, decoder_loss_weights, and
    when packed {encoder,decoder}_{segment_ids,positions}; and with states
    encoder_states, float16 [B, L, E].

  Raises:
    ConfigError: there is no such mixture, or a row is too short for it.
  """
  mixture = _found(mixture)
  row = row_lengths(mixture, lengths)
  shard = shard or seqio.ShardInfo(0, 1)
  if batch_size < 1:
    raise ConfigError(f"batch_size must be at least 1; {batch_size} came.")
  if not _is_ours(mixture):
    if states is not None:
      examples_of(mixture)  # says why there are none
    return SeqioBatches(
      mixture,
      lengths=lengths,
      batch_size=batch_size,
      pack=pack,
      seed=seed,
      shard=shard,
    )
  return stream_feed.StreamBatches(
    _stream(mixture, seed=seed, shard=shard, with_places=states is not None),
    table=seqio.get_subtasks(mixture)[0].source.table,
    lengths=row,
    batch_size=batch_size,
    pack=pack,
    identity={
      "mixture": mixture.name,
      "seed": seed,
      "shard": shard.index,
      "num_shards": shard.num_shards,
    },
    states=states and (lambda: _state_rows(mixture, states())),
  )


def validation_batches(
  mixture: seqio.Mixture | seqio.Task | str,
  *,
  lengths: Mapping[str, int],
  batch_size: int,
  pack: bool = True,
) -> Iterator[Features]:
  """Yields every example of a mixture once, in order, as they are.

  For the loss on dev queries, say: a mixture of
  `LabelledQueries(rate=1.0, split="dev")`. Rates and token dropout do not
  apply.

  Args:
    mixture: one that `mixtures.build` made, or its name.
    lengths: as in `training_batches`.
    batch_size: rows in a batch.
    pack: whether a row holds several examples.

  Yields:
    Batches as `training_batches` has them; the last is filled up with rows
    of zeros, which weigh nothing.
  """
  mixture = _found(mixture)
  row = row_lengths(mixture, lengths)
  if not _is_ours(mixture):
    raise ConfigError(
      f"{mixture.name!r} is not a mixture of genret; validation reads only "
      "those that mixtures.build makes."
    )
  tasks = seqio.get_subtasks(mixture)
  yield from stream_feed.one_pass(
    (task.source.examples for task in tasks),
    table=tasks[0].source.table,
    lengths=row,
    batch_size=batch_size,
    pack=pack,
  )


def examples_of(
  mixture: seqio.Mixture | seqio.Task | str,
) -> dict[str, Examples]:
  """Returns the examples of each task of a mixture, by its name.

  Args:
    mixture: one that `mixtures.build` made, or its name.

  Raises:
    ConfigError: it is another, whose examples are not known beforehand.
  """
  mixture = _found(mixture)
  if not _is_ours(mixture):
    raise ConfigError(
      f"The examples of {mixture.name!r} are read by seqio as they stream by, "
      "so there is no end of texts to encode once. Build the mixture with "
      "mixtures.build, or compute states in every step: "
      "TrainConfig.cache_states = False."
    )
  tasks = seqio.get_subtasks(mixture)
  return {task.name: task.source.examples for task in tasks}


def num_examples(batch: Mapping[str, np.ndarray]) -> int:
  """Counts the labelled examples of a batch.

  >>> num_examples({
  ...   "decoder_loss_weights": np.array([[1, 1, 1, 0], [1, 1, 0, 0]]),
  ...   "decoder_positions": np.array([[0, 1, 0, 0], [0, 1, 0, 0]]),
  ... })
  3

  Args:
    batch: from `training_batches` or `validation_batches`.

  Returns:
    How many.
  """
  weights = batch["decoder_loss_weights"]
  if "decoder_positions" not in batch:
    return int((weights[:, 0] > 0).sum())
  return int(((batch["decoder_positions"] == 0) & (weights > 0)).sum())


def row_lengths(
  mixture: seqio.Mixture | seqio.Task, lengths: Mapping[str, int]
) -> RowLengths:
  """Checks that every example of a mixture fits into a row.

  Args:
    mixture: what is to be read.
    lengths: {"inputs": L, "targets": T}.

  Returns:
    The lengths.

  Raises:
    ConfigError: a length is missing, unknown, or too short.
  """
  for name in lengths:
    if name not in _FEATURES:
      hint = suggest(name, _FEATURES)
      raise ConfigError(f"No feature {name!r} can be given a length.{hint}")
  if len(lengths) != len(_FEATURES):
    raise ConfigError(
      f"Lengths of inputs and targets are needed; {dict(lengths)} came."
    )
  row = RowLengths(**lengths)
  for task in seqio.get_subtasks(mixture):
    if isinstance(task.source, ExamplesSource):
      _check_fits(task.source, row)
  return row


def longest_input(mixture: seqio.Mixture | str) -> int | None:
  """Returns the tokens of the longest input, None where that is not known."""
  found = _found(mixture)
  if not _is_ours(found):
    return None
  tasks = seqio.get_subtasks(found)
  return max(task.source.examples.longest for task in tasks)


def _check_fits(source: ExamplesSource, row: RowLengths) -> None:
  docid, longest = source.table.length, source.examples.longest
  if docid > row.targets:
    raise ConfigError(
      f"Docids of {docid} symbols do not fit targets of length {row.targets}. "
      f"Set that length to {docid} or, for packed rows, some multiple of it."
    )
  if longest > row.inputs:
    raise ConfigError(
      f"Task {source.config.name!r} has inputs of up to {longest} ids; inputs "
      f"have length {row.inputs}. Make that longer, or the input_length of "
      "the mixture shorter."
    )


def _found(mixture: seqio.Mixture | seqio.Task | str):
  if not isinstance(mixture, str):
    return mixture
  known = [*seqio.MixtureRegistry.names(), *seqio.TaskRegistry.names()]
  if mixture not in known:
    raise ConfigError(
      f"seqio knows no mixture or task {mixture!r}." + suggest(mixture, known)
    )
  return seqio.get_mixture_or_task(mixture)


def _is_ours(mixture: seqio.Mixture | seqio.Task) -> bool:
  sources = [task.source for task in seqio.get_subtasks(mixture)]
  return (
    all(isinstance(source, ExamplesSource) for source in sources)
    and len({source.docids for source in sources}) == 1
  )


def ingredients(
  mixture: seqio.Mixture | seqio.Task | str, *, with_places: bool = False
) -> list[Ingredient]:
  """Returns the examples of each task of a mixture, and how they are read.

  Args:
    mixture: one that `mixtures.build` made, or its name.
    with_places: whether tokens have places, counted from 1 over all tasks in
      this order.
  """
  mixture = _found(mixture)
  tasks = seqio.get_subtasks(mixture)
  sizes = [len(task.source.examples.tokens) for task in tasks]
  places = itertools.accumulate(sizes[:-1], initial=1)
  return [
    Ingredient(
      examples=task.source.examples,
      rate=mixture.get_rate(task) if isinstance(mixture, seqio.Mixture) else 1,
      token_dropout=task.source.config.token_dropout,
      first_place=place if with_places else None,
    )
    for task, place in zip(tasks, places, strict=True)
  ]


def _stream(
  mixture: seqio.Mixture | seqio.Task,
  *,
  seed: int,
  shard: seqio.ShardInfo,
  with_places: bool,
) -> Stream:
  return Stream(
    ingredients(mixture, with_places=with_places),
    seed=seed,
    shard=shard.index,
    num_shards=shard.num_shards,
  )


def _state_rows(
  mixture: seqio.Mixture | seqio.Task, examples: Mapping[str, Examples]
) -> StateRows:
  tasks = seqio.get_subtasks(mixture)
  return StateRows([examples[task.name].states for task in tasks])
