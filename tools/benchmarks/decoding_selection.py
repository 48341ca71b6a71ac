"""One selection step: from the logits of all beams to the next beams.

No model: the logits are random. The frontier at each level is what a search
with such logits arrives at. A step is measured at every level but the first,
against an unconstrained top-K over all symbols, and against STATIC. Where no
beam branches any more genret selects nothing; what is measured there is what
it does instead, the scoring of the forced symbols.
"""

import dataclasses
import functools
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import decoding_docids
import decoding_peers
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import reporting

from genret.decoding import forced, selection
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.selection import Frontier
from genret.decoding.trie import Trie

QUERIES = 8
BEAMS = (40, 100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
  """Docids to select among.

  Attributes:
    name: of the docids.
    documents: N.
    vocab_size: V.
    most: the greatest share of the time of an unconstrained step.
    zipf: whether symbols are drawn like words, with EOS.
    static: how many times as slow STATIC is at least; None where it cannot
      be asked.
  """

  name: str
  documents: int
  vocab_size: int
  most: float
  zipf: bool = False
  static: float | None = None


CASES = (
  Case(name="2k", documents=100_000, vocab_size=2048, most=0.35, static=1.3),
  Case(name="2k", documents=1_000_000, vocab_size=2048, most=0.35, static=1.3),
  Case(name="32k", documents=100_000, vocab_size=32_128, most=0.15, static=2.0),
  Case(
    name="32k", documents=1_000_000, vocab_size=32_128, most=0.15, static=2.0
  ),
  Case(
    name="Zipf",
    documents=1_000_000,
    vocab_size=32_128,
    most=0.15,
    zipf=True,
  ),
)
LARGE = Case(name="2k", documents=8_800_000, vocab_size=2048, most=0.5)


def checks(
  *,
  full: bool = False,
  documents: int | None = None,
  static_checkout: Path | None = None,
  **_: object,
) -> list[reporting.Check]:
  """Compares steps, mean over levels 1 and on.

  Args:
    full: whether to take 100 beams and 8.8M documents as well.
    documents: the only size, instead of the usual ones.
    static_checkout: STATIC's repository; None to leave it out.
  """
  done: list[reporting.Check] = []
  means = {}
  for case in CASES + ((LARGE,) if full else ()):
    if documents is not None:
      case = dataclasses.replace(case, documents=documents)
    trie = Trie.build(_codes(case), case.vocab_size)
    placed = DeviceTrie.place(trie)
    for num_beams in BEAMS if full else BEAMS[:1]:
      steps = _steps(trie, case, num_beams, static_checkout=static_checkout)
      taken = _measured(placed, steps, case=case, num_beams=num_beams)
      done += _rows(case, num_beams, taken)
      means[case.name, case.documents, num_beams] = taken["genret"]
    if case.static and static_checkout is None:
      reason = "no --static_checkout given"
      done.append(reporting.missing(f"{_name(case)}: STATIC", reason=reason))
  if full and documents is None:
    growth = means["2k", 8_800_000, 40] / means["2k", 100_000, 40]
    name = "a step, 2k K=40: 8.8M documents / 100k"
    done.append(reporting.at_most(name, growth, 1.8, unit="times"))
  return done


def _codes(case: Case) -> np.ndarray:
  if case.zipf:
    return decoding_docids.zipf(case.documents)
  return decoding_docids.uniform(case.documents, case.vocab_size)


Step = Callable[[int, jax.Array, Frontier], object]


def _steps(
  trie: Trie,
  case: Case,
  num_beams: int,
  *,
  static_checkout: Path | None,
) -> dict[str, Step]:
  """Returns the steps to measure besides genret's, by name."""

  @jax.jit
  def free(logits: jax.Array, scores: jax.Array) -> tuple[jax.Array, ...]:
    totals = scores[..., None] + jax.nn.log_softmax(logits)
    return jax.lax.top_k(totals.reshape(len(totals), -1), num_beams)

  steps: dict[str, Step] = {
    "unconstrained": lambda t, logits, beams: free(logits, beams.scores)
  }
  if case.static is not None and static_checkout is not None:
    steps["STATIC"] = decoding_peers.StaticSteps(
      static_checkout, trie.rows, case.vocab_size, num_beams=num_beams
    )
  return steps


@flax.struct.dataclass
class _Logits:
  """A decoder's head alone: what it reads are the logits."""

  def logits(self, hidden: jax.Array, t: object) -> jax.Array:
    del t
    return hidden


def select(
  trie: DeviceTrie, logits: jax.Array, beams: Frontier, t: int, num_beams: int
) -> Frontier:
  """Takes one step at level t with the logits of all beams."""
  following = selection.children(trie, beams.states, t, level=trie.levels[t])
  scores = selection.scores_of(_Logits(), logits, following, t=t, scoring="raw")
  return selection.select(
    trie, beams, following, scores=scores, num_beams=num_beams
  )


_genret = jax.jit(select, static_argnums=(3, 4))


@jax.jit
def _forced(trie: DeviceTrie, logits: jax.Array, beams: Frontier, t: int):
  symbols = jnp.take(trie.docids(beams.states), jnp.array([t]), axis=2)
  return forced.log_probabilities(_Logits(), logits[:, :, None], symbols, t=t)


def _measured(
  trie: DeviceTrie, steps: Mapping[str, Step], *, case: Case, num_beams: int
) -> dict[str, float]:
  """Returns the mean over levels of median milliseconds, by name."""
  random = np.random.default_rng(0)
  beams = selection.root(trie, QUERIES)
  taken: dict[str, list[float]] = {}
  for t in range(trie.length):
    shape = (QUERIES, beams.scores.shape[1], case.vocab_size)
    logits = jax.device_put(random.standard_normal(shape, np.float32))
    if t:
      calls = {
        name: functools.partial(step, t, logits, beams)
        for name, step in steps.items()
      }
      selects = (beams.states >= 0).any()
      calls["genret"] = (
        functools.partial(_genret, trie, logits, beams, t, num_beams)
        if selects
        else functools.partial(_forced, trie, logits, beams, t)
      )
      for name, seconds in reporting.medians(
        calls, repeats=20, limit=2.0
      ).items():
        taken.setdefault(name, []).append(1000 * seconds)
    beams = _genret(trie, logits, beams, t, num_beams)
  return {name: statistics.mean(levels) for name, levels in taken.items()}


def _name(case: Case) -> str:
  return f"a step, {case.name} N={case.documents:,}"


def _rows(
  case: Case, num_beams: int, taken: Mapping[str, float]
) -> list[reporting.Check]:
  name = f"{_name(case)} K={num_beams}"
  done = [
    reporting.Check(name=f"{name}: {who}", figure=taken[who], unit="ms")
    for who in taken
  ]
  share = taken["genret"] / taken["unconstrained"]
  done.append(
    reporting.at_most(
      f"{name}: genret / unconstrained", share, case.most, unit="times"
    )
  )
  if "STATIC" in taken:
    ratio = taken["STATIC"] / taken["genret"]
    done.append(
      reporting.at_least(
        f"{name}: STATIC / genret", ratio, case.static, unit="times"
      )
    )
  return done
