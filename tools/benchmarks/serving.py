"""Queries a second over HTTP, against the same model called in Python.

The service runs in a process of its own, as `genret serve` starts it; clients
are in this one, on the same machine, and take their share of it. Closed loops
of 1, 8 and 64 clients; then four times as many queries a second as 64 clients
got through; then a long load, during which memory must not grow.

  python tools/benchmarks/serving.py --quick \
    --model_dir=genret-quickstart/models/semantic \
    --collection=genret-quickstart/collection
"""

import argparse
import asyncio
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import reporting
import serving_clients
from serving_clients import Load, percentile

from genret.core.collection import Collection
from genret.retrieval.generative import Retriever
from genret.serving.limits import Limits

BEAMS = 10
CLIENTS = (1, 8, 64)
SHARE = 0.8  # of the offline rate, with 64 clients
REFUSED = 0.05  # seconds in which a 429 must come
GROWTH = 0.02  # of the resident set, under load
OVER = 4  # times capacity


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--quick", action="store_true", help="under five minutes")
  how.add_argument("--full", action="store_true", help="ten minutes of load")
  parser.add_argument("--model_dir", type=Path, required=True)
  parser.add_argument("--collection", type=Path, required=True)
  given = parser.parse_args()
  collection = Collection.open(given.collection)
  queries = [query.text for query in collection.queries("test")][:1024]
  seconds = 30.0 if given.full else 8.0
  checks, offline = _offline(given.model_dir, queries, full=given.full)
  with _service(given.model_dir, given.collection) as (process, port):
    found, capacity = _loops(port, queries, seconds=seconds, offline=offline)
    checks += found
    checks += _overload(port, queries, rate=OVER * capacity, seconds=seconds)
    minutes = 10.0 if given.full else 0.5
    checks += _soak(process.pid, port, queries, minutes=minutes)
    process.terminate()
    code = process.wait(60)
  checks.append(reporting.at_most("exit code of the service", code, 0, unit=""))
  reporting.finish(checks, packages=("jax", "starlette", "uvicorn"))


def _offline(
  model_dir: Path, queries: Sequence[str], *, full: bool
) -> tuple[list[reporting.Check], float]:
  """Returns the rates of the model in Python, and that of batches."""
  retriever = Retriever.load(model_dir)
  retriever.warm_up(BEAMS, explain=False)
  some = queries if full else queries[:256]
  repeats = 5 if full else 3
  seconds = reporting.median_seconds(
    lambda: retriever.search(some, k=10, num_beams=BEAMS), repeats=repeats
  )
  batched = len(some) / seconds
  seconds = reporting.median_seconds(
    lambda: [
      retriever.search(query, k=10, num_beams=BEAMS) for query in some[:64]
    ],
    repeats=repeats,
  )
  return [
    _rate("in Python, all at once", batched),
    _rate("in Python, one at a time", 64 / seconds),
  ], batched


@contextlib.contextmanager
def _service(
  model_dir: Path, collection: Path
) -> Iterator[tuple[subprocess.Popen, int]]:
  """Starts `genret serve`; yields its process and its port."""
  command = [sys.executable, "-m", "genret.cli.main", "serve", "--port=0"]
  command += [f"--model_dir={model_dir}", f"--collection={collection}"]
  process = subprocess.Popen(
    [*command, f"--num_beams={BEAMS}"], stdout=subprocess.PIPE, text=True
  )
  try:
    for line in process.stdout:
      if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
        yield process, int(found[1])
        return
    raise RuntimeError("the service did not start; what it said is above")
  finally:
    process.kill()
    process.wait()
    process.stdout.close()


def _loops(
  port: int, queries: Sequence[str], *, seconds: float, offline: float
) -> tuple[list[reporting.Check], float]:
  """Measures closed loops; returns the rate of the last one as well."""
  checks = []
  for clients in CLIENTS:
    load = asyncio.run(
      serving_clients.closed_loop(
        port, queries, clients=clients, seconds=seconds
      )
    )
    name = f"over HTTP, {clients} clients"
    checks += [_rate(name, load.rate), *_latencies(name, load)]
  checks.append(
    reporting.at_least(
      f"{CLIENTS[-1]} clients / in Python, all at once",
      load.rate / offline,
      SHARE,
      unit="times",
    )
  )
  return checks, load.rate


def _overload(
  port: int, queries: Sequence[str], *, rate: float, seconds: float
) -> list[reporting.Check]:
  load = asyncio.run(
    serving_clients.open_loop(port, queries, rate=rate, seconds=seconds)
  )
  refused, accepted = load.of(429), load.of(200)
  name = f"{OVER} times capacity"
  wrong = len(load.answers) - len(refused) - len(accepted)
  checks = [
    _rate(f"{name}: asked", len(load.answers) / load.seconds),
    _rate(f"{name}: answered", load.rate),
    reporting.at_most(f"{name}: neither 200 nor 429", wrong, 0, unit=""),
    reporting.at_most(
      f"{name}: p99 of 200",
      percentile(accepted, 0.99),
      Limits().deadline_seconds,
      unit="s",
    ),
  ]
  if not refused:
    return [*checks, reporting.missing(f"{name}: 429", reason="none came")]
  return [
    *checks,
    _milliseconds(f"{name}: p50 of 429", percentile(refused, 0.5)),
    reporting.at_most(
      f"{name}: p99 of 429",
      1000 * percentile(refused, 0.99),
      1000 * REFUSED,
      unit="ms",
    ),
    _milliseconds(f"{name}: slowest 429", refused[-1]),
  ]


def _soak(
  pid: int, port: int, queries: Sequence[str], *, minutes: float
) -> list[reporting.Check]:
  """Measures the resident set after a tenth of the load, and at its end."""
  sizes, answers = [], 0
  for share in (0.1, 0.9):
    load = asyncio.run(
      serving_clients.closed_loop(
        port, queries, clients=CLIENTS[-1], seconds=60 * minutes * share
      )
    )
    sizes.append(_resident(pid))
    answers += len(load.of(200))
  name = f"{minutes:g} min of load"
  return [
    reporting.Check(name=f"{name}: answers", figure=answers, unit="answers"),
    reporting.Check(
      name=f"{name}: resident set", figure=sizes[1] / 2**20, unit="MiB"
    ),
    reporting.at_most(
      f"{name}: its growth", sizes[1] / sizes[0] - 1, GROWTH, unit="share"
    ),
  ]


def _resident(pid: int) -> int:
  """Returns the bytes of memory that a process holds."""
  status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
  return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


def _latencies(name: str, load: Load) -> list[reporting.Check]:
  taken = load.of(200)
  return [
    _milliseconds(f"{name}, p{share:.0%}"[:-1], percentile(taken, share))
    for share in (0.5, 0.95, 0.99)
  ]


def _milliseconds(name: str, seconds: float) -> reporting.Check:
  return reporting.Check(name=name, figure=1000 * seconds, unit="ms")


def _rate(name: str, figure: float) -> reporting.Check:
  return reporting.Check(name=name, figure=figure, unit="queries/s")


if __name__ == "__main__":
  main()
