"""Atomic docids: the best of very many, without the scores of them all.

A head with random rows, one a document, is searched in chunks, and beside it
as one would write it: logits, log-softmax, top-k. The decoder before the head
is left out; the queries are what it would return. Memory is what the compiled
programs set aside beside their arguments and results.

Figures of one machine mean little alone: read the ratios.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import numpy as np
import reporting
from jax import Array
from jaxtyping import Float, Int

from genret.core.docid_table import FIRST_SYMBOL
from genret.decoding import atomic
from genret.decoding.atomic import AtomicIndex
from genret.decoding.beam_search import Beams
from genret.decoding.trie import Trie
from genret.models.sizes import T5Config
from genret.models.stepper import T5Stepper

# Documents, and the width of the head.
SIZES = {
  "quick": ((100_000, 256), (1_000_000, 256)),
  "full": ((8_800_000, 64),),
}
# Queries, and beams.
BATCHES = {"quick": ((8, 10), (64, 100)), "full": ((8, 100), (64, 10))}
RECALL_TARGET = 0.9
# Where all scores take so many bytes, chunks are to save memory and hardly be
# slower; where they take less there is nothing to save.
BOUND_FROM = 100_000_000
TIME_BOUND, MEMORY_BOUND = 1.1, 0.5

Calls = Mapping[str, Callable[[], Any]]


def checks(
  *,
  full: bool = False,
  documents: int | None = None,
  **_: object,
) -> list[reporting.Check]:
  """Compares searches of every number of documents, queries and beams.

  Args:
    full: whether to measure 8.8 million documents as well, which takes 10 GB,
      and more batches, in five rounds instead of three.
    documents: how many there are, instead of the usual numbers.
  """
  sizes = SIZES["quick"] + (SIZES["full"] if full else ())
  batches = BATCHES["quick"] + (BATCHES["full"] if full else ())
  if documents:
    sizes = ((documents, 256),)
  done = []
  for num_documents, dim in sizes:
    head = Head(num_documents, dim)
    for num_queries, num_beams in batches:
      done += head.compare(num_queries, num_beams, repeats=5 if full else 3)
  return done


@flax.struct.dataclass
class HeadAlone(T5Stepper):
  """A T5 of which only the head is left; `encoded` is what it reads."""

  def start(self, encoded: Float[Array, "B D"]) -> Float[Array, "B D"]:
    """Remembers what is encoded."""
    return encoded

  def step(
    self,
    cache: Float[Array, "B D"],
    parents: Int[Array, "B K"] | None,
    symbols: Int[Array, "B K S"],
    t: int,
  ) -> tuple[Float[Array, "B 1 1 D"], Float[Array, "B D"]]:
    """Returns what is encoded."""
    del parents, symbols, t
    return cache[:, None, None], cache


class Head:
  """A head with a row for each document, and the searches of it.

  Args:
    num_documents: N.
    dim: D, the width of the rows.
  """

  def __init__(self, num_documents: int, dim: int):
    vocab_size = FIRST_SYMBOL + num_documents
    config = T5Config(emb_dim=dim, docid_vocab_size=vocab_size, docid_length=1)
    rows = _normal(0, (config.head_width, dim))
    self._decoder = HeadAlone(
      params={"decoder": {"logits_dense": {"rows": rows}}}, config=config
    )
    symbols = np.arange(FIRST_SYMBOL, vocab_size, dtype=np.int32)
    trie = Trie.build(symbols[:, None], vocab_size)
    self._index = AtomicIndex.place(trie)
    self._num_documents, self._dim = num_documents, dim

  def compare(
    self, num_queries: int, num_beams: int, *, repeats: int
  ) -> list[reporting.Check]:
    """Measures time, memory and agreement."""
    size = f"N={self._num_documents:,} D={self._dim}"
    name = f"{size} B={num_queries} K={num_beams}:"
    hidden = _normal(1, (num_queries, self._dim)) / self._dim**0.5
    programs = self._programs(hidden, num_beams)
    seconds = reporting.medians(
      {who: functools.partial(call, hidden) for who, call in programs.items()},
      repeats=repeats,
    )
    found = {who: call(hidden) for who, call in programs.items()}
    memory = {who: call.temporary for who, call in programs.items()}
    all_scores = 4 * num_queries * self._num_documents
    return [
      *(
        reporting.Check(name=f"{name} {who}", figure=1000 * taken, unit="ms")
        for who, taken in seconds.items()
      ),
      _ratio(
        f"{name} time of chunks / plain",
        seconds["chunks"] / seconds["plain"],
        bound=TIME_BOUND if all_scores >= BOUND_FROM else None,
      ),
      _ratio(
        f"{name} memory of chunks / all scores",
        memory["chunks"] / all_scores,
        bound=MEMORY_BOUND if all_scores >= BOUND_FROM else None,
      ),
      _ratio(
        f"{name} memory of plain / all scores",
        memory["plain"] / all_scores,
        note=f"all scores take {all_scores / 1e6:,.0f} MB",
      ),
      reporting.at_least(
        f"{name} same documents, chunks and plain",
        _shared(found["chunks"], found["plain"]),
        0.999,
        unit="share",
      ),
      _recall(
        f"{name} recall of chunks, approximate",
        _shared(found["chunks, approximate"], found["chunks"]),
      ),
    ]

  def _programs(
    self, hidden: Float[Array, "B D"], num_beams: int
  ) -> "dict[str, Program]":
    search = functools.partial(_search, num_beams=num_beams)
    searches = {
      "chunks": search,
      "chunks, approximate": functools.partial(
        search, recall_target=RECALL_TARGET
      ),
      "plain": functools.partial(_plain, num_beams=num_beams),
    }
    return {
      who: Program(search, self._decoder, self._index, hidden)
      for who, search in searches.items()
    }


class Program:
  """A compiled search.

  Args:
    search: of a decoder, an index and queries.
    decoder: the head.
    index: the docids.
    hidden: queries that are like those to come.

  Attributes:
    temporary: bytes that it sets aside while it runs.
  """

  def __init__(
    self,
    search: Callable[..., Beams],
    decoder: HeadAlone,
    index: AtomicIndex,
    hidden: Float[Array, "B D"],
  ):
    compiled = jax.jit(search).lower(decoder, index, hidden).compile()
    self._call = functools.partial(compiled, decoder, index)
    self.temporary = compiled.memory_analysis().temp_size_in_bytes

  def __call__(self, hidden: Float[Array, "B D"]) -> Beams:
    """Returns what is found, on the host."""
    return jax.device_get(self._call(hidden))


def _search(
  decoder: HeadAlone,
  index: AtomicIndex,
  hidden: Float[Array, "B D"],
  *,
  num_beams: int,
  recall_target: float | None = None,
) -> Beams:
  return atomic.search(
    decoder,
    hidden,
    index,
    num_beams=num_beams,
    recall_target=recall_target,
  )


def _plain(
  decoder: HeadAlone,
  index: AtomicIndex,
  hidden: Float[Array, "B D"],
  *,
  num_beams: int,
) -> Beams:
  """Scores and sorts all symbols at once; pad and EOS come out as rows < 0."""
  del index
  scores = jax.nn.log_softmax(decoder.logits(hidden, 0))
  scores, symbols = jax.lax.top_k(scores, num_beams)
  return Beams(
    rows=symbols - FIRST_SYMBOL, scores=scores, valid=scores > -np.inf
  )


def _normal(seed: int, shape: tuple[int, ...]) -> Array:
  draw = jax.jit(jax.random.normal, static_argnums=1)
  return jax.block_until_ready(draw(jax.random.key(seed), shape))


def _shared(found: Beams, wanted: Beams) -> float:
  """Returns the share of the documents wanted that are found."""
  shares = [
    np.isin(wants[wants >= 0], finds).mean()
    for finds, wants in zip(found.rows, wanted.rows, strict=True)
  ]
  return float(np.mean(shares))


def _ratio(
  name: str, figure: float, *, bound: float | None = None, note: str = ""
) -> reporting.Check:
  if bound is None:
    return reporting.Check(name=name, figure=figure, unit="times", note=note)
  return reporting.at_most(name, figure, bound, unit="times")


def _recall(name: str, figure: float) -> reporting.Check:
  check = reporting.at_least(name, figure, RECALL_TARGET, unit="share")
  if jax.default_backend() == "tpu":
    return check
  return dataclasses.replace(check, note="exact here: only a TPU approximates")
