"""The loss of a wide atomic head: in chunks against as a whole.

B rows of D numbers, N documents, a kernel [D, N]; value and gradients of the
rows and the kernel, with z-loss. Two peaks are measured, both without the
inputs and the kernel's gradient, which every way needs:

  planned   temporary bytes of the compiled program (XLA's memory_analysis)
  anonymous the most RssAnon of a process of its own during its only call,
            less that before the call and less the gradient's size

Times are medians of calls that take turns in one process.

  python tools/benchmarks/atomic_head.py --quick
"""

import argparse
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import reporting

from genret.models import layers
from genret.models.t5 import T5Config
from genret.training import chunked, losses, sampled, target_scores
from genret.training.chunked import Chunked
from genret.training.losses import Loss, Plain
from genret.training.sampled import Sampled

ROWS, DIM, DOCUMENTS = 64, 256, 1_000_000
MEGABYTE = 1e6
SIZES = (2048, 4096, 8192, 16_384, 65_536)
Head = Plain | Chunked | Sampled


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--quick", action="store_true", help="under five minutes")
  how.add_argument("--full", action="store_true", help="sizes of a chunk too")
  parser.add_argument(
    "--documents", type=int, default=DOCUMENTS, help="N, %(default)s unless set"
  )
  parser.add_argument("--peak-of", help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  heads = _heads(full=arguments.full)
  if arguments.peak_of:
    print(_peak(heads[arguments.peak_of], arguments.documents))
    return
  checks = _measure(
    heads, arguments.documents, repeats=9 if arguments.full else 5
  )
  reporting.finish(checks, packages=("jax", "jaxlib"))


def _heads(*, full: bool) -> dict[str, Head]:
  heads = {"plain": Plain(), "chunked": Chunked(), "sampled": Sampled()}
  sizes = SIZES if full else ()
  return heads | {f"chunks of {size:,}": Chunked(size=size) for size in sizes}


def _measure(
  heads: dict[str, Head], documents: int, *, repeats: int
) -> list[reporting.Check]:
  anonymous = {
    name: _peak_of_another(name, documents) for name in ("plain", "chunked")
  }
  inputs = _inputs(documents)
  programs = {
    name: _compiled(head, documents, inputs) for name, head in heads.items()
  }
  planned = {
    name: program.memory_analysis().temp_size_in_bytes / MEGABYTE
    for name, program in programs.items()
  }
  value, gradient = _distance(
    programs["chunked"](*inputs), programs["plain"](*inputs)
  )
  seconds = reporting.medians(
    {
      name: functools.partial(program, *inputs)
      for name, program in programs.items()
    },
    repeats=repeats,
    limit=240,
  )
  return [
    *_figures("planned peak", planned, "MB"),
    *_figures("anonymous peak", anonymous, "MB"),
    *_figures("value and gradients", seconds, "s"),
    reporting.at_most("chunked - plain, value", value, 1e-5, unit="nats"),
    reporting.at_most("chunked - plain, gradients", gradient, 1e-5, unit=""),
    _ratio("planned peak", planned, 0.25),
    _ratio("anonymous peak", anonymous, 0.25),
    _ratio("time", seconds, 1.3),
  ]


def _figures(
  name: str, figures: dict[str, float], unit: str
) -> list[reporting.Check]:
  return [
    reporting.Check(name=f"{name}, {head}", figure=figure, unit=unit)
    for head, figure in figures.items()
  ]


def _ratio(
  name: str, figures: dict[str, float], bound: float
) -> reporting.Check:
  ratio = figures["chunked"] / figures["plain"]
  return reporting.at_most(
    f"{name}, chunked / plain", ratio, bound, unit="times"
  )


def _inputs(documents: int) -> tuple[jax.Array, ...]:
  """Returns hidden states, a head as it starts, and documents to predict."""
  width = _config(documents).head_width
  keys = jax.random.split(jax.random.key(0), 3)
  return (
    jax.random.normal(keys[0], (ROWS, DIM)),
    jax.jit(lambda key: jax.random.normal(key, (DIM, width)) / DIM**0.5)(
      keys[1]
    ),
    jax.random.randint(keys[2], (ROWS,), 2, documents + 2),
  )


def _config(documents: int) -> T5Config:
  return T5Config(emb_dim=DIM, docid_vocab_size=documents + 2, docid_length=1)


def _compiled(
  head: Head, documents: int, inputs: Sequence[jax.Array]
) -> Callable:
  config = _config(documents)
  settings = {"num_symbols": config.num_symbols, "with_mean": False}

  def score(hidden, kernel, targets) -> target_scores.TargetScores:
    if isinstance(head, Chunked):
      return chunked.score(hidden, kernel, targets, size=head.size, **settings)
    if isinstance(head, Sampled):
      return sampled.score(
        hidden, kernel, targets, how=head, key=jax.random.key(0), **settings
      )
    params = {"decoder": {"logits_dense": {"kernel": kernel}}}
    logits = layers.logits(params, config, hidden)
    return target_scores.of_logits(logits, targets, **settings)

  def mean_loss(hidden, kernel, targets):
    scores = score(hidden, kernel, targets)
    return losses.sums(scores, jnp.ones(ROWS), loss=Loss()).total / ROWS

  graded = jax.jit(jax.value_and_grad(mean_loss, argnums=(0, 1)))
  return graded.lower(*inputs).compile()


def _distance(found, expected) -> tuple[float, float]:
  value = abs(float(found[0] - expected[0]))
  gradients = jax.tree.map(
    lambda a, b: float(jnp.abs(a - b).max()), found[1], expected[1]
  )
  return value, max(gradients)


def _peak_of_another(name: str, documents: int) -> float:
  """Measures the anonymous peak of one way in a process of its own."""
  command = [sys.executable, __file__, f"--peak-of={name}"]
  shown = subprocess.check_output(
    [*command, f"--documents={documents}"], text=True
  )
  return float(shown.splitlines()[-1])


def _peak(head: Head, documents: int) -> float:
  """Returns the most megabytes that a call adds, but for the gradient."""
  inputs = jax.block_until_ready(_inputs(documents))
  program = _compiled(head, documents, inputs)
  before = _anonymous()
  peak, done = [before], threading.Event()

  def watch() -> None:
    while not done.is_set():
      peak[0] = max(peak[0], _anonymous())
      time.sleep(0.001)

  watcher = threading.Thread(target=watch)
  watcher.start()
  jax.block_until_ready(program(*inputs))
  done.set()
  watcher.join()
  return (peak[0] - before - inputs[1].nbytes) / MEGABYTE


def _anonymous() -> int:
  """Returns the bytes of anonymous memory that this process has in RAM."""
  for line in Path("/proc/self/status").read_text().splitlines():
    if line.startswith("RssAnon:"):
      return int(line.split()[1]) * 1024
  raise RuntimeError("/proc/self/status has no RssAnon; Linux is needed")


if __name__ == "__main__":
  main()
