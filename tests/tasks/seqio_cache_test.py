import collections
import importlib.util
import json

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.docids import naive
from genret.tasks import mixtures, seqio_cache
from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.indexing import FirstP
from genret.tasks.retrieval import LabelledQueries

TASKS = (
  FirstP(rate=1.0, name="cached_firstp", token_dropout=(0.2, 0.2)),
  FirstP(rate=1.0, name="cached_heads", num_tokens=8),
)
needs_beam = pytest.mark.skipif(
  importlib.util.find_spec("apache_beam") is None,
  reason="apache-beam is not installed",
)


@pytest.fixture(scope="module")
def docids(few, tmp_path_factory):
  folder = tmp_path_factory.mktemp("docids") / "naive"
  naive.fit(few).save(folder)
  return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
  return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def mixture(few, docids, cache):
  return mixtures.build(few, docids, tasks=TASKS, cache_dir=str(cache))


@pytest.fixture(scope="module")
def cached(mixture, docids, cache):
  return [
    seqio_cache.write(
      task, docids, cache_dir=cache / "seqio", num_shards=number
    )
    for task, number in zip(mixture.tasks, (3, 8), strict=True)
  ]


def contents(dataset) -> collections.Counter:
  return collections.Counter(
    (tuple(e["inputs"].tolist()), tuple(e["targets"].tolist()))
    for e in dataset.as_numpy_iterator()
  )


def records(folder) -> collections.Counter:
  found = collections.Counter()
  for path in folder.glob("*.tfrecord-*"):
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
      features = tf.train.Example.FromString(record).features.feature
      found[
        tuple(
          (name, tuple(features[name].int64_list.value))
          for name in sorted(features)
        )
      ] += 1
  return found


@needs_beam
def test_seqio_reads_what_is_cached(mixture, cached):
  task = next(t for t in mixture.tasks if not t.source.config.token_dropout[1])
  assert task.cache_dir in map(str, cached)

  def read(**options):
    return task.get_dataset(None, split="train", **options)

  direct = read(shuffle=False)
  in_order = read(use_cached=True, shuffle=False)
  assert contents(in_order) == contents(direct)
  first = [
    [e["inputs"].tolist() for e in dataset.take(9).as_numpy_iterator()]
    for dataset in (direct, in_order, read(use_cached=True, seed=1))
  ]
  assert first[0] != first[1]  # the files were read, and they are shuffled
  assert first[1] != first[2]
  twice = read(use_cached=True, seed=1, num_epochs=2)
  assert contents(twice) == contents(direct) + contents(direct)
  hosts = [
    read(use_cached=True, shuffle=False, shard_info=seqio.ShardInfo(i, 2))
    for i in range(2)
  ]
  assert contents(hosts[0]) + contents(hosts[1]) == contents(direct)


@needs_beam
def test_a_mixture_of_cached_tasks_drops_tokens_anew(mixture, cached):
  dataset = mixture.get_dataset(
    {"inputs": 64, "targets": 8}, split="train", use_cached=True, seed=0
  )
  assert len(list(dataset.take(50))) == 50
  firstp = next(t for t in mixture.tasks if t.source.config.token_dropout[1])
  one, two = (
    contents(firstp.get_dataset(None, use_cached=True, seed=seed))
    for seed in (0, 1)
  )
  assert one.total() == two.total() == firstp.source.examples.num_examples
  assert one != two


@needs_beam
def test_the_files_are_those_of_seqio_cache_tasks(mixture, cached, tmp_path):
  import apache_beam as beam
  from absl import flags
  from apache_beam.options.pipeline_options import PipelineOptions
  from seqio.scripts import cache_tasks_main

  task = next(t for t in mixture.tasks if t.source.config.token_dropout[1])
  ours = next(folder for folder in cached if folder.name == task.name)
  flags.FLAGS(["test", "--min_shards=3"])
  with beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner"])) as p:
    cache_tasks_main.run_pipeline(
      p, [task.name], str(tmp_path), ignore_other_caches=True
    )
  theirs = tmp_path / task.name
  assert sorted(path.name for path in ours.iterdir()) == sorted(
    path.name for path in theirs.iterdir()
  )
  for name in ("info.train.json", "stats.train.json"):
    assert json.loads((ours / name).read_text()) == json.loads(
      (theirs / name).read_text()
    )
  assert records(ours) == records(theirs)


@needs_beam
def test_a_killed_run_goes_on(mixture, docids, tmp_path):
  task = mixture.tasks[0]
  whole = seqio_cache.write(
    task, docids, cache_dir=tmp_path / "whole", num_shards=4
  )
  again = seqio_cache.write(
    task, docids, cache_dir=tmp_path / "again", num_shards=2
  )
  (again / "COMPLETED").unlink()  # as if another number had been begun
  shards = sorted(path.name for path in whole.glob("*.tfrecord-*"))
  for name in shards[:3]:
    (again / name).write_bytes((whole / name).read_bytes())
  times = {name: (again / name).stat().st_mtime_ns for name in shards[:3]}
  seqio_cache.write(task, docids, cache_dir=tmp_path / "again", num_shards=4)
  assert {p.name for p in again.iterdir()} == {p.name for p in whole.iterdir()}
  for path in whole.iterdir():
    assert (again / path.name).read_bytes() == path.read_bytes()
  for name, time in times.items():
    assert (again / name).stat().st_mtime_ns == time


def test_shards_are_mixed_and_whole():
  shards = [seqio_cache.members(100_000, i, num_shards=5) for i in range(5)]
  assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(100_000))
  for shard in shards:
    assert abs(len(shard) - 20_000) <= 64
    assert abs(shard.mean() - 50_000) < 8_000  # 313 runs: five deviations
    assert abs(np.corrcoef(shard[:-1], shard[1:])[0, 1]) < 0.05


@needs_beam
def test_what_cannot_be_cached_says_why(small, small_docids, mixture, tmp_path):
  [task] = mixtures.build(
    small, small_docids, tasks=[FirstP(rate=1.0, name="in_memory")]
  ).tasks
  with pytest.raises(ConfigError, match="Build the mixture with a cache_dir"):
    seqio_cache.write(task, tmp_path, cache_dir=tmp_path)
  small_docids.save(tmp_path / "others")
  with pytest.raises(ConfigError, match="holds other docids"):
    seqio_cache.write(mixture.tasks[0], tmp_path / "others", cache_dir=tmp_path)


def test_a_task_that_is_not_cached_is_read_from_its_arrays(small, small_docids):
  [task] = mixtures.build(
    small, small_docids, tasks=[LabelledQueries(rate=1.0, name="not_cached")]
  ).tasks
  dataset = task.get_dataset(None, use_cached=True)
  assert contents(dataset).total() == 3
