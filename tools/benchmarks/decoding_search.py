"""Whole searches: encoder, decoder and selection, queries a second.

T5-small with random weights reads 32 tokens and searches residual docids of
100,000 clustered vectors, once with a head of just their symbols and once
with one as wide as T5's text vocabulary. Unconstrained searches may write
docids that do not exist; they say what the constraint costs.
"""

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import decoding_docids
import decoding_peers
import jax
import numpy as np
import reporting
from jaxtyping import Float, Int

from genret.decoding import unconstrained
from genret.decoding.beam_search import Beams, beam_search
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.trie import Trie
from genret.models.sizes import SIZES, T5Config
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5

DOCUMENTS = 100_000
VOCABULARIES = (decoding_docids.TEXT_VOCABULARY, 2048)
BEAMS = {"quick": (10, 40), "full": (10, 40, 100)}
QUERIES, TOKENS = 8, 32
# Beams, and by V the least genret / transformers, both constrained.
TARGET_BEAMS = 40
TARGETS = {
  decoding_docids.TEXT_VOCABULARY: {"raw": 4.5, "renormalised": 15.0},
  2048: {"raw": 3.0},
}
ROUNDS = 3

Calls = Mapping[str, Callable[[], object]]


def checks(
  *,
  full: bool = False,
  documents: int | None = None,
  **_: object,
) -> list[reporting.Check]:
  """Compares searches at every width of the head and number of beams.

  Args:
    full: whether to take more beams.
    documents: how many there are, instead of 100,000.
  """
  codes = decoding_docids.residual(documents or DOCUMENTS)
  done = [_skew(codes)]
  shape = dataclasses.replace(
    SIZES["small"],
    docid_vocab_size=max(VOCABULARIES),
    docid_length=codes.shape[1],
  )
  params = jax.block_until_ready(random_weights(shape))
  for vocab_size in VOCABULARIES:
    config = dataclasses.replace(shape, docid_vocab_size=vocab_size)
    params_of_v = _cut(params, config)
    searches = Searches(codes, config, params=params_of_v)
    for num_beams in BEAMS["full" if full else "quick"]:
      done += _compare(searches, num_beams)
    drawn = decoding_docids.uniform(documents or DOCUMENTS, vocab_size)
    searches = Searches(drawn, config, params=params_of_v, kind="uniform ")
    done += _compare(searches, TARGET_BEAMS)
  return done


def _skew(codes: Int[np.ndarray, "N T"]) -> reporting.Check:
  alone = decoding_docids.alone(codes)
  return reporting.Check(
    name="documents alone after 4 of 8 symbols",
    figure=float(alone[3]),
    unit="share",
    note="by symbols: " + " ".join(f"{share:.2f}" for share in alone),
  )


def _compare(searches: "Searches", num_beams: int) -> list[reporting.Check]:
  """Lets every search with K beams take its turns."""
  calls = searches.calls(num_beams)
  before, start = _others_seconds(), time.perf_counter()
  seconds = reporting.medians(calls, repeats=ROUNDS)
  others = _others_seconds() - before
  others /= time.perf_counter() - start
  name = f"{searches.name} K={num_beams}:"
  return [
    reporting.at_most(f"{name} busy otherwise", others, 0.1, unit="cores"),
    *_rates(name, seconds),
    *_ratios(
      name, seconds, targets=searches.targets(num_beams), reason=searches.reason
    ),
    *searches.agreement(num_beams),
  ]


class Searches:
  """The same queries, weights and docids, searched by each program.

  Args:
    codes: docids, all of length T.
    config: of the model.
    params: its weights.
    kind: of docids, before the name; empty for the residual ones, which the
      targets are for.
  """

  def __init__(
    self,
    codes: Int[np.ndarray, "N T"],
    config: T5Config,
    *,
    params: Any,
    kind: str = "",
  ):
    self.vocab_size = config.num_symbols
    self.name = f"{kind}V={self.vocab_size:,}"
    self._has_targets = not kind
    self._length = codes.shape[1]
    self._stepper = T5Stepper.create(params, config)
    trie = Trie.build(codes, self.vocab_size)
    self._rows = trie.rows
    self._trie = DeviceTrie.place(trie)
    random = np.random.default_rng(0)
    self._inputs = random.integers(3, 32_000, (QUERIES, TOKENS), np.int32)
    self._peer, self.reason = None, ""
    try:
      self._peer = decoding_peers.Transformers(params, config, codes)
    except ImportError as error:
      self.reason = str(error)

  def calls(self, num_beams: int) -> Calls:
    """Returns the searches there are, by name."""
    calls = {
      f"genret {scoring}": functools.partial(
        self._constrained, num_beams, scoring
      )
      for scoring in ("raw", "renormalised")
    }
    calls["genret unconstrained"] = functools.partial(
      self._unconstrained, num_beams
    )
    if self._peer is not None:
      for constrained in (True, False):
        which = "constrained" if constrained else "unconstrained"
        calls[f"transformers {which}"] = functools.partial(
          self._peer.search, self._inputs, num_beams, constrained=constrained
        )
    return calls

  def targets(self, num_beams: int) -> dict[str, float]:
    """Returns the least ratios that are asked for, by scoring."""
    if not self._has_targets or num_beams != TARGET_BEAMS:
      return {}
    return TARGETS[self.vocab_size]

  def agreement(self, num_beams: int) -> list[reporting.Check]:
    """Compares what both constrained searches find, by raw scores."""
    name = f"{self.name} K={num_beams}: genret, transformers"
    if self._peer is None:
      return [reporting.missing(f"{name} agree", reason=self.reason)]
    beams = self._constrained(num_beams, "raw")
    ours = _scored(self._rows[beams.rows], beams.scores)
    theirs = _scored(*self._peer.found(self._inputs, num_beams))
    shared = [
      one.keys() & other.keys() for one, other in zip(ours, theirs, strict=True)
    ]
    apart = max(
      abs(one[docid] - other[docid])
      for one, other, both in zip(ours, theirs, shared, strict=True)
      for docid in both
    )
    share = sum(map(len, shared)) / (QUERIES * num_beams)
    return [
      reporting.at_least(f"{name}, same documents", share, 0.99, unit="share"),
      dataclasses.replace(
        reporting.at_most(f"{name}, scores apart", apart, 1e-4, unit="nats"),
        note=f"{apart:.1e}",
      ),
    ]

  def _constrained(self, num_beams: int, scoring: str) -> Beams:
    return jax.device_get(
      search(
        self._stepper,
        self._trie,
        self._inputs,
        num_beams=num_beams,
        scoring=scoring,
      )
    )

  def _unconstrained(self, num_beams: int) -> unconstrained.Sequences:
    return jax.device_get(
      _search_unconstrained(
        self._stepper, self._inputs, length=self._length, num_beams=num_beams
      )
    )


@functools.partial(jax.jit, static_argnames=("config",))
def random_weights(config: T5Config) -> Any:
  """Draws the weights of a T5."""
  tokens = np.ones((1, 4), np.int32)
  return T5(config).init(jax.random.key(0), tokens, tokens)["params"]


def _cut(params: Mapping[str, Any], config: T5Config) -> dict[str, Any]:
  """Leaves the first symbols of a wider vocabulary: the rest is the same."""
  decoder = dict(params["decoder"])
  embedding = decoder["docid_embedder"]["embedding"][: config.docid_embeddings]
  head = decoder["logits_dense"]["kernel"][:, : config.head_width]
  decoder["docid_embedder"] = {"embedding": embedding}
  decoder["logits_dense"] = {"kernel": head}
  return {**params, "decoder": decoder}


@functools.partial(jax.jit, static_argnames=("num_beams", "scoring"))
def search(
  stepper: T5Stepper,
  trie: DeviceTrie,
  inputs: jax.Array,
  *,
  num_beams: int,
  scoring: str,
) -> Beams:
  """Encodes the queries and searches the docids, as one program."""
  return beam_search(
    stepper,
    stepper.encode(inputs),
    trie,
    num_beams=num_beams,
    scoring=scoring,
  )


@functools.partial(jax.jit, static_argnames=("length", "num_beams"))
def _search_unconstrained(
  stepper: T5Stepper, inputs: jax.Array, *, length: int, num_beams: int
) -> unconstrained.Sequences:
  return unconstrained.search(
    stepper, stepper.encode(inputs), length=length, num_beams=num_beams
  )


def _others_seconds() -> float:
  """Returns the CPU-seconds so far of everything but this process.

  Where others compute meanwhile, threads that wait for each other lose far
  more than their share, torch's most of all, and the ratios mean nothing.
  """
  with open("/proc/stat", encoding="ascii") as file:
    user, nice, system, _, _, *rest = map(int, file.readline().split()[1:9])
  busy = (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
  own = os.times()
  return busy - own.user - own.system


def _rates(name: str, seconds: Mapping[str, float]) -> list[reporting.Check]:
  return [
    reporting.Check(
      name=f"{name} {who}",
      figure=QUERIES / taken,
      unit="queries/s",
      note=f"{1000 * taken:,.0f} ms",
    )
    for who, taken in seconds.items()
  ]


def _ratios(
  prefix: str,
  seconds: Mapping[str, float],
  *,
  targets: Mapping[str, float],
  reason: str,
) -> list[reporting.Check]:
  """Compares the times of searches with the same head and beams.

  Args:
    prefix: of the names.
    seconds: a search, by program.
    targets: the least ratio to the constrained `generate`, by scoring.
    reason: why there are no times of `transformers`, where there are none.
  """
  done = []
  for ours, theirs, least in (
    ("raw", "constrained", targets.get("raw")),
    ("renormalised", "constrained", targets.get("renormalised")),
    ("raw", "unconstrained", 1.0),
  ):
    name = f"{prefix} genret {ours} / transformers {theirs}"
    if f"transformers {theirs}" not in seconds:
      done.append(reporting.missing(name, reason=reason))
      continue
    ratio = seconds[f"transformers {theirs}"] / seconds[f"genret {ours}"]
    if least is None:
      done.append(reporting.Check(name=name, figure=ratio, unit="times"))
    else:
      done.append(reporting.at_least(name, ratio, least, unit="times"))
  name = f"{prefix} time of genret raw / unconstrained"
  cost = seconds["genret raw"] / seconds["genret unconstrained"]
  return [*done, reporting.at_most(name, cost, 1.05, unit="times")]


def _scored(
  docids: Int[np.ndarray, "B K T"], scores: Float[np.ndarray, "B K"]
) -> list[dict[tuple[int, ...], float]]:
  """Returns the score of each docid, by query."""
  return [
    dict(zip(map(tuple, rows.tolist()), row_scores.tolist(), strict=True))
    for rows, row_scores in zip(docids, scores, strict=True)
  ]
