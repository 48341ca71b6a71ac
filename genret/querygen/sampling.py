"""Queries drawn from a T5 that writes text, documents of like length at once.

A program is compiled for each length of inputs, and these are 64, 128, 192,
256, 384, 512 and so on, so that there are few. A batch always has as many
documents; the last one of a length is filled up, and what is drawn for the
filling is dropped.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, Key

from genret.core import text
from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.decoding import sampling
from genret.decoding.sampling import Samples, Special
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5Config

SHORTEST = 64
"""The least length that a program is compiled for."""
TEXT = Special(end=Tokenizer.end_id, never=(Tokenizer.unk_id,))
"""What ends a query; and the unknown symbol, which stands for no text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingConfig:
  """How queries are drawn.

  Attributes:
    num_queries: of each document.
    temperature: the logits are divided by it.
    top_k: only so many likeliest symbols are drawn from; None for all.
    max_length: the most ids of a query, its end included; a longer one is
      cut.
    batch_size: documents at a time.
  """

  num_queries: int = 40
  temperature: float = 1.0
  top_k: int | None = 10
  max_length: int = 32
  batch_size: int = 8

  def __post_init__(self):
    for name in ("num_queries", "max_length", "batch_size"):
      if getattr(self, name) < 1:
        raise ConfigError(
          f"{name} is {getattr(self, name)}; expected 1 or more."
        )
    if self.top_k is not None and self.top_k < 1:
      raise ConfigError(
        f"top_k is {self.top_k}; expected 1 or more, or None for all symbols."
      )
    if not 0 < self.temperature <= sampling.HOTTEST:
      raise ConfigError(
        f"temperature is {self.temperature}; expected more than 0 and at most"
        f" {sampling.HOTTEST:g}."
      )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
  """A document that queries are drawn for.

  Attributes:
    ids: what the model reads.
    key: decides the draws.
  """

  ids: Sequence[int]
  key: Key[Array, ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
  """One query as it was drawn.

  Attributes:
    text: may be empty.
    log_probability: of its ids, by the model at temperature 1.
  """

  text: str
  log_probability: float


class Sampler:
  """Draws queries from one model.

  Args:
    params: the parameter tree of a T5 that writes text; copied.
    config: of the model.
    how: of the draws.
  """

  def __init__(self, params: Any, config: T5Config, how: SamplingConfig):
    self._tokenizer = Tokenizer()
    self._pad_id = text.vocabulary(config.input_vocabulary).pad_id
    self._how = how
    self._decoder = text_decoder(params, config, length=how.max_length)

  def draw(
    self, asked: Sequence[Asked], *, length: int
  ) -> Iterator[list[Drawn]]:
    """Draws the queries of some documents.

    Args:
      asked: any number of documents.
      length: of inputs; none is longer.

    Yields:
      The queries of each, in order.
    """
    size = self._how.batch_size
    for first in range(0, len(asked), size):
      batch = asked[first : first + size]
      samples = jax.device_get(self._samples(batch, length))
      for symbols, gains in zip(
        samples.symbols[: len(batch)],
        samples.log_probabilities[: len(batch)],
        strict=True,
      ):
        yield [
          Drawn(text=self._text(row), log_probability=round(float(gain), 4))
          for row, gain in zip(symbols, gains, strict=True)
        ]

  def _samples(self, batch: Sequence[Asked], length: int) -> Samples:
    full = [*batch, *batch[:1] * (self._how.batch_size - len(batch))]
    inputs = np.full((len(full), length), self._pad_id, np.int32)
    for row, one in zip(inputs, full, strict=True):
      row[: len(one.ids)] = one.ids
    return draw(
      self._decoder,
      jnp.asarray(inputs),
      jnp.stack([one.key for one in full]),
      num_samples=self._how.num_queries,
      length=self._how.max_length,
      temperature=self._how.temperature,
      top_k=self._how.top_k,
    )

  def _text(self, row: np.ndarray) -> str:
    return " ".join(self._tokenizer.decode(row).split())


@functools.partial(
  jax.jit,
  static_argnames=sampling.STATIC,
)
def draw(
  decoder: T5Stepper,
  inputs: Int[Array, "B L"],
  keys: Key[Array, "B"],
  *,
  num_samples: int,
  length: int,
  temperature: float = 1.0,
  top_k: int | None = None,
  special: Special = TEXT,
) -> Samples:
  """Encodes documents and draws queries; see `sampling.sample`."""
  return sampling.sample(
    decoder,
    decoder.encode(inputs),
    keys,
    num_samples=num_samples,
    length=length,
    temperature=temperature,
    top_k=top_k,
    special=special,
  )


def text_decoder(params: Any, config: T5Config, *, length: int) -> T5Stepper:
  """Prepares a T5 for writing text, and nothing but text.

  The head loses its rows beyond the vocabulary's pieces: the sentinels of
  span corruption, and what fills it up. So none of them is ever drawn, has a
  share of the probability, or costs anything.

  Args:
    params: the parameter tree of `T5`.
    config: of the model.
    length: the most ids that are written.

  Raises:
    ConfigError: the model writes docids of its own.
  """
  if config.docid_vocab_size is not None:
    raise ConfigError(
      f"This model writes docids of {config.docid_vocab_size:,} symbols of"
      " their own; queries are written by a T5 that writes text, such as one"
      " of `genret generator`."
    )
  pieces = min(num_pieces(), config.vocab_size)
  decoder = params["decoder"]
  kernel = decoder["logits_dense"]["kernel"][:, :pieces]
  decoder = {**decoder, "logits_dense": {"kernel": kernel}}
  # The columns that only fill the head up are gone with the others.
  config = dataclasses.replace(
    config.plain, docid_length=length, head_multiple=1
  )
  return T5Stepper.create({**params, "decoder": decoder}, config)


@functools.cache
def num_pieces() -> int:
  """Returns how many ids stand for text: 32,000."""
  return len(Tokenizer().pieces)


def fitting_length(ids: int, longest: int) -> int:
  """Returns the length of inputs that a document of so many ids is read in.

  >>> [fitting_length(ids, 400) for ids in (3, 64, 65, 150, 200, 300, 390)]
  [64, 64, 128, 192, 256, 384, 400]

  Args:
    ids: of the document.
    longest: the most that any document has.
  """
  whole = SHORTEST  # a power of two
  while whole < ids:
    whole *= 2
  between = whole * 3 // 4
  fits = ids <= between and whole > 2 * SHORTEST
  return min(between if fits else whole, longest)
