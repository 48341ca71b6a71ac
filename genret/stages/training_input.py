"""The mixture that a run of training reads."""

import inspect
from collections.abc import Callable
from typing import Any

from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.models.t5 import T5Config
from genret.tasks import feed, mixtures
from genret.tasks.host_tensorflow import seqio
from genret.training import cluster


def mixture(
  given: Any, collection: Collection, table: DocidTable, *, model: T5Config
) -> seqio.Mixture | str:
  """Builds what is given as a function, and checks what its inputs are in.

  Args:
    given: A mixture of seqio or its name, or a function from a collection
      and a docid table, and a `vocabulary` where that is not T5's.
    collection: What is indexed.
    table: Its docids.
    model: What will read it.

  Returns:
    The mixture, or its name.

  Raises:
    ConfigError: If its inputs are in another vocabulary, or longer than an
      encoder knows positions.
  """
  vocabulary = model.input_vocabulary
  if callable(given):
    other = mixtures.in_vocabulary(vocabulary)
    if other and not _takes(given, "vocabulary"):
      raise ConfigError(
        f"The model reads {vocabulary!r}, and the mixture is a function without"
        " a parameter `vocabulary`, as genret.tasks.mixtures.build has."
      )
    given = given(collection, table, **other)
  mixtures.check_vocabulary(given, vocabulary)
  if model.encoder:
    _check_longest(given, model.encoder.bert.max_positions)
  return given


def _takes(function: Callable, name: str) -> bool:
  parameters = inspect.signature(function).parameters
  return name in parameters or any(
    parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
  )


def _check_longest(mixture: seqio.Mixture | str, most: int) -> None:
  longest = feed.longest_input(mixture)
  if longest is not None and longest > most:
    raise ConfigError(
      f"Inputs have up to {longest} tokens, and the encoder knows {most}"
      f" positions. Set the mixture's input_length to {most}, or to less."
    )


def describe(mixture: seqio.Mixture | str) -> None:
  """Prints what is trained on, once."""
  if not cluster.is_first():
    return
  if isinstance(mixture, str):
    print(f"training on {mixture}, read through seqio's own pipeline")
  else:
    print(mixtures.describe(mixture))
