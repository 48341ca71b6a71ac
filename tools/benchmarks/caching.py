"""Pairs a second into seqio's cache layout: genret beside seqio_cache_tasks.

Both cache the same labelled queries with their docids on Beam's DirectRunner,
each with the options it has by default, into 64 shards, in turns, and the
statistics they write must agree. Twice: from
text, where genret tokenises into mapped arrays and then writes, and seqio's
tool runs a task over the TFDS data sets of the same collection; and from
tokens, where both begin with the arrays.

  python tools/benchmarks/caching.py --quick
"""

import argparse
import itertools
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import reporting

from genret.core import artifacts, collection
from genret.core.collection import Collection, Query
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.corpora import embedded
from genret.docids import naive
from genret.tasks import mixtures, seqio_cache, tfds_tasks
from genret.tasks.host_tensorflow import seqio
from genret.tasks.retrieval import LabelledQueries

from genret.corpora import tfds_builder  # isort: skip

TASKS = (LabelledQueries(rate=1.0),)
LENGTH = 64
LEAST = 5.0  # times seqio's own tool
NUM_SHARDS = 64  # what that tool writes


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--quick", action="store_true", help="under five minutes")
  how.add_argument("--full", action="store_true", help="more pairs and turns")
  parser.add_argument("--pairs", type=int, help="pairs in the collection")
  given = parser.parse_args()
  logging.disable(logging.WARNING)  # seqio's tool warns of itself
  pairs = given.pairs or (100_000 if given.full else 10_000)
  with tempfile.TemporaryDirectory() as folder:
    checks = _measured(Path(folder), pairs, turns=5 if given.full else 3)
  reporting.finish(
    checks, packages=("apache-beam", "seqio", "tensorflow", "sentencepiece")
  )


def _measured(folder: Path, pairs: int, *, turns: int) -> list[reporting.Check]:
  try:
    seqio_cache.check_options(seqio_cache.LOCAL)
  except ConfigError as error:
    return [reporting.missing("pairs cached a second", reason=str(error))]
  made = _collection(folder / "collection", pairs)
  docids = folder / "docids"
  docids.mkdir()
  naive.fit(made).save(docids)
  tfds_builder.build(made, made.root / tfds_tasks.TFDS)
  [streamed] = tfds_tasks.build(
    made, docids, tasks=TASKS, input_length=LENGTH
  ).tasks
  in_memory = mixtures.build(made, docids, tasks=TASKS, input_length=LENGTH)
  [stored] = in_memory.tasks
  contenders = {
    "from text": {
      "genret": lambda out: _from_text(made, docids, out),
      "seqio_cache_tasks": lambda out: _seqio(streamed.name, out),
    },
    "from tokens": {
      "genret": lambda out: _from_tokens(made, docids, out, folder / "arrays"),
      "seqio_cache_tasks": lambda out: _seqio(stored.name, out),
    },
  }
  checks = []
  for label, calls in contenders.items():
    rates = _rates(calls, folder / label, pairs=pairs, turns=turns)
    checks += [
      reporting.Check(name=f"{name}, {label}", figure=rate, unit="pairs/s")
      for name, rate in rates.items()
    ]
    checks.append(
      reporting.at_least(
        f"genret / seqio_cache_tasks, {label}",
        rates["genret"] / rates["seqio_cache_tasks"],
        LEAST,
        unit="times",
      )
    )
  return checks


def _collection(root: Path, pairs: int) -> Collection:
  """Asks the training questions of squad as often as it takes."""
  squad = embedded.squad()
  answers = {j.query_id: j.docno for j in squad.qrels["train"]()}
  asked = [q for q in squad.queries() if q.query_id in answers]
  queries = [
    (Query(query_id=f"{i}", text=q.text), answers[q.query_id])
    for i, q in zip(range(pairs), itertools.cycle(asked), strict=False)
  ]
  recipe = artifacts.Recipe(
    stage=collection.STAGE, format_version=collection.FORMAT_VERSION
  )
  with artifacts.building(root, recipe) as draft:
    collection.write(
      draft,
      documents=squad.documents(),
      queries=(query for query, _ in queries),
      qrels={"train": {q.query_id: {docno: 1} for q, docno in queries}},
    )
  return Collection.open(root)


def _from_text(made: Collection, docids: Path, out: Path) -> Path:
  """Tokenises into a new cache and writes seqio's layout."""
  return _from_tokens(made, docids, out, out / "arrays")


def _from_tokens(
  made: Collection, docids: Path, out: Path, arrays: Path
) -> Path:
  """Writes seqio's layout, from arrays that lie there unless it is new."""
  [task] = mixtures.build(
    made,
    DocidTable.load(docids),
    tasks=TASKS,
    input_length=LENGTH,
    cache_dir=str(arrays),
  ).tasks
  return seqio_cache.write(task, docids, cache_dir=out, num_shards=NUM_SHARDS)


def _seqio(name: str, out: Path) -> Path:
  """Runs what the program `seqio_cache_tasks` runs."""
  from absl import flags
  from seqio.scripts import cache_tasks_main

  beam, options = seqio_cache.check_options(["--runner=DirectRunner"])
  flags.FLAGS(["caching", f"--min_shards={NUM_SHARDS}"])
  with beam.Pipeline(options=options) as pipeline:
    [folder] = cache_tasks_main.run_pipeline(
      pipeline, [name], str(out), ignore_other_caches=True
    )
  return Path(folder)


def _rates(
  calls: Mapping[str, Callable[[Path], Path]],
  folder: Path,
  *,
  pairs: int,
  turns: int,
) -> dict[str, float]:
  """Returns median pairs a second of calls that take turns."""
  taken: dict[str, list[float]] = {name: [] for name in calls}
  for turn in range(turns + 1):
    found = {}
    for name, call in calls.items():
      start = time.perf_counter()
      written = call(folder / f"{name}-{turn}")
      seconds = time.perf_counter() - start
      if turn:  # the first one warms up
        taken[name].append(pairs / seconds)
      stats = seqio.utils.get_cached_stats_path(str(written), "train")
      found[name] = json.loads(Path(stats).read_text())
    _check_same(found, pairs)
  return {name: statistics.median(rates) for name, rates in taken.items()}


def _check_same(found: Mapping[str, dict], pairs: int) -> None:
  one, other = found.values()
  if one != other or one["examples"] != pairs:
    raise RuntimeError(f"not the same was cached: {found}")


if __name__ == "__main__":
  main()
