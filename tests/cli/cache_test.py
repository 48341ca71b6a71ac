import importlib.util

import pytest

from genret.cli import main


@pytest.fixture
def docids(collection, tmp_path):
  out = tmp_path / "docids"
  assert (
    main.main(["docids", f"--collection={collection}", f"--out={out}"]) == 0
  )
  return out


def cache(collection, docids, out, *more):
  given = [f"--collection={collection}", f"--docids={docids}", f"--out={out}"]
  return main.main(["cache", *given, *more])


@pytest.mark.skipif(
  importlib.util.find_spec("apache_beam") is None,
  reason="apache-beam is not installed",
)
def test_caches_for_seqio_too(collection, docids, tmp_path, capsys):
  out = tmp_path / "cache"
  assert cache(collection, docids, out, "--num_shards=2") == 0
  shown = capsys.readouterr().out
  assert f"{out} holds 8 examples" in shown
  assert f"--gin.CACHE_DIR={out}" in shown
  assert len(list((out / "seqio").glob("*/COMPLETED"))) == 2


def test_other_tasks_are_a_file(collection, docids, tmp_path, capsys):
  out = tmp_path / "cache"
  files = ["--gin_file=runs/cache.gin", "--gin_file=tasks/daq_labelled.gin"]
  assert cache(collection, docids, out, *files, "--gin.SEQIO=False") == 0
  assert not (out / "seqio").exists()
  names = [path.name.split("-")[0] for path in (out / "examples").iterdir()]
  assert sorted(names) == ["DaQ", "LabelledQueries"]


def test_the_vocabulary_is_a_flag(collection, docids, tmp_path, capsys):
  out = tmp_path / "cache"
  given = ["--vocabulary=bert_uncased", "--gin.SEQIO=False"]
  assert cache(collection, docids, out, *given) == 0
  assert "bert_uncased" in capsys.readouterr().out
