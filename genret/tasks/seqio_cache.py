"""A task's examples in seqio's own cache layout, written by Apache Beam.

What `seqio_cache_tasks` would write: `<split>.tfrecord-xxxxx-of-yyyyy`,
`info.<split>.json`, `stats.<split>.json` and COMPLETED in a folder named like
the task. That tool runs the task's pipeline example by example in Python; here
a worker takes a whole shard from mapped arrays.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from genret.core import artifacts, atomic, chatter, watching
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.tasks import example_store, mixtures, serialised
from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.permutation import Permutation
from genret.tasks.sources import ExamplesTask
from genret.tasks.stream import take

COMPLETED = "COMPLETED"
LOCAL = (
  "--runner=DirectRunner",
  "--direct_running_mode=multi_threading",
  "--direct_num_workers=0",
)
"""Beam's options for all cores of this machine.

Without a runner, Beam would download a binary. Threads are enough, as most of
the work is TensorFlow's; processes take ten seconds to start.
"""

_SHARD_EXAMPLES = 1 << 18  # at most, where the number of shards is not given
_MIN_SHARDS = 64  # as seqio_cache_tasks has
_TOGETHER = 4096  # examples serialised at a time
_NEIGHBOURS = 64  # examples that stay in one shard, to read the disk in runs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
  """What a worker must know; plain values, so that it can be on any machine.

  Attributes:
    examples: folder of the mapped examples.
    docids: folder of the docid table.
    out: the folder of the cached task.
    split: of the task.
    num_shards: files that are written.
  """

  examples: str
  docids: str
  out: str
  split: str
  num_shards: int

  def path(self, shard: int) -> Path:
    """Names the file of a shard."""
    prefix = seqio.utils.get_cached_tfrecord_prefix(self.out, self.split)
    return Path(f"{prefix}-{shard:05d}-of-{self.num_shards:05d}")


def write(
  task: ExamplesTask,
  docids: Path,
  *,
  cache_dir: Path,
  num_shards: int | None = None,
  pipeline_options: Sequence[str] = LOCAL,
) -> Path:
  """Caches a task so that seqio reads it with `use_cached=True`.

  Each shard is a random part of the examples in random order, as seqio asks
  of a cache, and takes its name when it is whole: a killed run goes on with
  the missing ones.

  Args:
    task: of a mixture that was built with a cache_dir.
    docids: the folder of its docids.
    cache_dir: where cached tasks are kept; seqio must know it as one of its
      global cache folders. All workers of the pipeline see it, and the
      examples and docids, under the same names.
    num_shards: files; None for 64, and more where there are more than 16M
      examples.
    pipeline_options: Beam's, the runner among them.

  Returns:
    The folder of the cached task.

  Raises:
    ConfigError: Beam is not installed, the examples lie in memory, or the
      docids are others than the task's.
  """
  beam, options = check_options(pipeline_options)
  out = Path(cache_dir) / seqio.get_task_dir_from_name(task.name)
  if (out / COMPLETED).exists():
    return out
  job = _job(task, docids, out=out, num_shards=num_shards)
  out.mkdir(parents=True, exist_ok=True)
  _remove_others(job)
  with _progress(job, task.source.config.name):
    with beam.Pipeline(options=options) as pipeline:
      _ = (
        pipeline
        | "shards" >> beam.Create(range(job.num_shards))
        | "spread" >> beam.Reshuffle()
        | "write" >> beam.Map(functools.partial(write_shard, job))
        | "total" >> beam.CombineGlobally(total)
        | "seal" >> beam.Map(functools.partial(_seal, job))
      )
  return out


def write_shard(job: Job, shard: int) -> dict[str, int]:
  """Writes one file, unless it is there, and counts what it holds.

  Args:
    job: what is cached.
    shard: the number of the file.

  Returns:
    seqio's statistics of it.
  """
  examples, table = _opened(job.examples, job.docids)
  numbers = members(examples.num_examples, shard, num_shards=job.num_shards)
  chunks = (
    take(examples, numbers[i : i + _TOGETHER])
    for i in range(0, len(numbers), _TOGETHER)
  )
  if job.path(shard).exists():
    return total(_count(chunk, table) for chunk in chunks)
  counts = []
  with (
    atomic.replacing(job.path(shard)) as draft,
    tf.io.TFRecordWriter(str(draft)) as writer,
  ):
    for chunk in chunks:
      _write_records(writer, serialised.records(chunk, table.codes))
      counts.append(_count(chunk, table))
  return total(counts)


def _write_records(
  writer: tf.io.TFRecordWriter, records: Iterable[bytes]
) -> None:
  for record in records:
    writer.write(record)


def members(num_examples: int, shard: int, *, num_shards: int) -> np.ndarray:
  """Says which examples are in a shard, in the order of its file.

  Runs of neighbours are dealt out at random and then shuffled within the
  shard, so that a disk is read in runs and not example by example.

  >>> sorted(members(5, 0, num_shards=2).tolist() +
  ...        members(5, 1, num_shards=2).tolist())
  [0, 1, 2, 3, 4]

  Args:
    num_examples: E.
    shard: its number.
    num_shards: how many there are.

  Returns:
    Numbers of examples, int64.
  """
  run = int(np.clip(num_examples // (64 * num_shards), 1, _NEIGHBOURS))
  num_runs = -(-num_examples // run)
  first, last = (num_runs * i // num_shards for i in (shard, shard + 1))
  order = Permutation(num_runs, np.random.default_rng(num_shards))
  runs = order[np.arange(first, last)]
  numbers = (runs[:, None] * run + np.arange(run)).ravel()
  numbers = numbers[numbers < num_examples]
  np.random.default_rng((num_shards, shard)).shuffle(numbers)
  return numbers


def total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
  """Adds up statistics, and takes the most of those that are a maximum.

  >>> total([{"examples": 2, "inputs_max_tokens": 5},
  ...        {"examples": 1, "inputs_max_tokens": 7}])
  {'examples': 3, 'inputs_max_tokens': 7}
  """
  out: dict[str, int] = {}
  for count in counts:
    for name, value in count.items():
      merge = max if name.endswith("_max_tokens") else int.__add__
      out[name] = merge(out.get(name, 0), value)
  return out


def _count(chunk: Any, table: DocidTable) -> dict[str, int]:
  """Counts as seqio does: neither the end nor pads are tokens."""
  lengths = {
    "inputs": chunk.lengths - 1,
    "targets": serialised.num_symbols(table.codes[chunk.documents]),
  }
  out = {"examples": len(chunk.documents)}
  for name, counted in lengths.items():
    out[f"{name}_tokens"] = int(counted.sum())
    out[f"{name}_max_tokens"] = int(counted.max(initial=0))
  return out


def _seal(job: Job, stats: dict[str, int]) -> None:
  """Writes what seqio reads beside the shards; COMPLETED is the last."""
  feature = {"shape": [None], "dtype": "int32"}
  info = {
    "features": {"inputs": feature, "targets": feature},
    "num_shards": job.num_shards,
    "seqio_version": seqio.__version__,
  }
  where = (job.out, job.split)
  artifacts.write_json(Path(seqio.utils.get_cached_info_path(*where)), info)
  artifacts.write_json(Path(seqio.utils.get_cached_stats_path(*where)), stats)
  artifacts.write_text(Path(job.out) / COMPLETED, "")


def _job(
  task: ExamplesTask, docids: Path, *, out: Path, num_shards: int | None
) -> Job:
  source = task.source
  folder = source.examples.folder
  if folder is None:
    raise ConfigError(
      f"The examples of task {source.config.name!r} lie in memory, where no "
      "worker sees them. Build the mixture with a cache_dir."
    )
  if mixtures.digest(DocidTable.load(docids)) != source.docids:
    raise ConfigError(
      f"{docids} holds other docids than task {source.config.name!r} was "
      "built with."
    )
  if num_shards is None:
    needed = -(-source.examples.num_examples // _SHARD_EXAMPLES)
    num_shards = max(_MIN_SHARDS, needed)
  if num_shards < 1:
    raise ConfigError(f"num_shards must be at least 1; {num_shards} came.")
  return Job(
    examples=str(folder.resolve()),
    docids=str(Path(docids).resolve()),
    out=str(out.resolve()),
    split=source.config.split,
    num_shards=min(num_shards, source.examples.num_examples),
  )


@functools.lru_cache(maxsize=2)
def _opened(examples: str, docids: str):
  return example_store.load(Path(examples)), DocidTable.load(Path(docids))


def _remove_others(job: Job) -> None:
  """Removes shards of another number of shards, which were given up."""
  for path in Path(job.out).glob(f"{job.split}.tfrecord-*"):
    if not path.name.endswith(f"-of-{job.num_shards:05d}"):
      path.unlink()


def _progress(job: Job, label: str) -> contextlib.AbstractContextManager[None]:
  """Shows how many shards there are; whichever workers write them."""
  there = f"{job.split}.tfrecord-*"
  bar = tqdm(
    total=job.num_shards, desc=f"cache {label}", unit=" shards", delay=2
  )
  return watching.watched(
    lambda: sum(1 for _ in Path(job.out).glob(there)), bar
  )


def check_options(pipeline_options: Sequence[str]) -> tuple[Any, Any]:
  """Imports Beam and reads its options.

  Args:
    pipeline_options: flags, at least the runner.

  Returns:
    The module, and its options.

  Raises:
    ConfigError: Beam is not installed, or no runner is named.
  """
  try:
    with chatter.without(chatter.BEAM):
      import apache_beam as beam
      from apache_beam.options.pipeline_options import PipelineOptions
  except ImportError as error:
    raise ConfigError(
      "Caching for seqio needs Apache Beam, which is not installed: "
      "pip install 'genret[beam]'; or set SEQIO to False, as genret train "
      "needs none of it."
    ) from error
  if not any(option.startswith("--runner=") for option in pipeline_options):
    raise ConfigError(
      "The pipeline options name no runner, as --runner=DirectRunner does; "
      f"{list(pipeline_options)!r} came."
    )
  return beam, PipelineOptions(list(pipeline_options))
