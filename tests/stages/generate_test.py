"""Queries for a collection: whole, sealed, and the same after any kill."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from flax import traverse_util

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import weights
from genret.interop.leaves import Leaf
from genret.interop.weights import Origin, Weights
from genret.models.t5 import T5, T5Config
from genret.querygen import shards
from genret.querygen.generator import Generator, GeneratorSpec, Request
from genret.querygen.sampling import SamplingConfig
from genret.stages import generate
from genret.stages.generate import GenerateConfig
from genret.tasks import synthetic

MODEL = T5Config(
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=16,
  num_encoder_layers=1,
  num_decoder_layers=1,
)
CONFIG = GenerateConfig(
  request=Request(
    how=SamplingConfig(num_queries=3, max_length=4, batch_size=8)
  ),
  inputs_length=32,
  shard_size=24,
)

pytestmark = pytest.mark.usefixtures("compile_once")


class Killed(BaseException):
  pass


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
  """Weights as `genret convert` writes them."""
  ids = jnp.ones((1, 2), jnp.int32)
  params = T5(MODEL).init(jax.random.key(0), ids, ids)["params"]
  out = tmp_path_factory.mktemp("weights") / "model"
  recipe = artifacts.Recipe(stage=weights.STAGE)
  with artifacts.building(out, recipe) as folder:
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    Weights(
      config=MODEL,
      params={name: Leaf.of(array) for name, array in sorted(flat.items())},
      origin=Origin(format="huggingface"),
    ).save(folder)
  return out


@pytest.fixture(scope="module")
def finished(collection, model, tmp_path_factory):
  out = tmp_path_factory.mktemp("generated") / "out"
  return generate.run(CONFIG, collection, model, out=out)


def test_queries_of_every_document_in_corpus_order(finished, collection, model):
  artifacts.verify(finished.folder)
  found = list(
    synthetic.read_queries(
      synthetic.queries_file(finished.folder), docnos=set(collection.docnos)
    )
  )
  counts = finished.summary["counts"]
  assert len(found) == counts["queries"]
  assert counts["queries"] + counts.get("empty queries", 0) == 3 * 64
  assert list(dict.fromkeys(query.docno for query in found)) == list(
    collection.docnos
  )
  assert found[0].generator == f"t5 {artifacts.identity(model)[:12]}"
  assert set(finished.summary["overlap"]) == {"train", "dev", "test"}
  assert "of its" in finished.overlap
  assert not list(shards.working_folders(finished.folder))


def test_a_finished_folder_is_only_read(finished, collection, model):
  again = generate.run(CONFIG, collection, model, out=finished.folder)
  assert again == finished
  other = dataclasses.replace(CONFIG, request=Request(seed=1))
  with pytest.raises(ArtifactError, match="seed is 0 there"):
    generate.run(other, collection, model, out=finished.folder)


def test_stopped_in_the_second_shard_it_ends_the_same(
  finished, collection, model, tmp_path, monkeypatch
):
  queries, calls = Generator._queries, []

  def killed(self, one, tally):
    calls.append(one)
    if len(calls) == 30:
      raise Killed
    yield from queries(self, one, tally)

  out = tmp_path / "out"
  with monkeypatch.context() as patched:
    patched.setattr(Generator, "_queries", killed)
    with pytest.raises(Killed):
      generate.run(CONFIG, collection, model, out=out)
  assert not out.exists()
  (folder,) = shards.working_folders(out)
  assert sorted(path.name for path in folder.glob("*.jsonl")) == ["00000.jsonl"]
  found = generate.run(CONFIG, collection, model, out=out)
  assert artifacts.identity(out) == artifacts.identity(finished.folder)
  assert found.summary == finished.summary


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_the_same(
  finished, collection, model, tmp_path
):
  """kill -9 before, in and after a shard."""
  for number in range(3):
    out = tmp_path / f"out {number}"
    process = _script(collection.root, model, out)
    shard = f"/0000{number - 1}.jsonl" if number else ""
    while not list(tmp_path.glob(f".{out.name}.shards-*{shard}")):
      assert process.poll() is None, "it ended before it could be killed"
      time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert _script(collection.root, model, out).wait() == 0
    assert artifacts.identity(out) == artifacts.identity(finished.folder)
    assert not list(shards.working_folders(out))


def test_one_fold_alone_is_refused_where_it_saw_labels(
  collection, model, tmp_path
):
  pairs = {
    "split": "train",
    "title": True,
    "grades": False,
    "inputs_length": 32,
    "targets_length": 8,
  }
  rung = Collection(
    collection.root,
    dataclasses.replace(artifacts.load(collection.root), seed=7),
    parent=collection,
  )
  assert rung.identity != collection.identity
  for folds, identity, of, message in (
    (2, collection.identity, collection, "give the folder above it"),
    (2, collection.identity, rung, "give the folder above it"),
    (1, collection.identity, collection, None),
    (2, "another", rung, None),
  ):
    folder = tmp_path / f"{folds} {identity[:4]} {of is rung}"
    recipe = artifacts.Recipe(
      stage=weights.GENERATOR,
      arguments={"folds": folds, "pairs": pairs},
      inputs={"collection": identity},
    )
    with artifacts.building(folder, recipe) as draft:
      (draft / "x").write_text("x")
    if message:
      with pytest.raises(ConfigError, match=message):
        generate._spec(CONFIG, of, folder)
    else:
      assert generate._spec(GenerateConfig(), of, folder) == GeneratorSpec(
        inputs_length=32, targets_length=8
      )


def test_no_generator_and_settings_that_cannot_be(collection, tmp_path):
  with pytest.raises(ArtifactError, match="made by `genret generator`"):
    generate.run(CONFIG, collection, tmp_path / "none", out=tmp_path / "out")
  with pytest.raises(ConfigError, match="shard_size is 0"):
    GenerateConfig(shard_size=0)


def _script(*arguments: Path) -> subprocess.Popen:
  here = Path(__file__)
  return subprocess.Popen(
    [sys.executable, str(here), *map(str, arguments)],
    env=os.environ
    | {"PYTHONPATH": str(here.parents[2]), "JAX_PLATFORMS": "cpu"},
  )


def main(collection_root: str, model: str, out: str) -> None:
  """Generates as the tests do."""
  generate.run(
    CONFIG, Collection.open(Path(collection_root)), Path(model), out=Path(out)
  )


if __name__ == "__main__":
  main(*sys.argv[1:])
