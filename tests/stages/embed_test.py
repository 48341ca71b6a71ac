import functools
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.artifacts import Recipe
from genret.core.collection import Collection, Document
from genret.core.errors import ArtifactError, ConfigError, DataError, UserError
from genret.corpora import embedded
from genret.embeddings import store
from genret.stages import embed, prepare
from genret.stages.embed import EmbedConfig

COUNT = 2 * embed.BLOCK + 40


def make_collection(folder, count=COUNT):
  recipe = Recipe(
    stage=collection.STAGE,
    arguments={"count": count},
    format_version=collection.FORMAT_VERSION,
  )
  documents = (
    Document(docno=f"d{i}", title=f"title {i}", text="text " * (i % 7))
    for i in range(count)
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(draft, documents=documents, queries=[], qrels={})
  return Collection.open(folder)


def hashing(*, salt=""):
  """Loads a small encoder: four bytes of a hash of the text."""

  def encode(texts):
    digests = [hashlib.sha256((salt + t).encode()).digest() for t in texts]
    return np.array([list(d[:4]) for d in digests], np.float32)

  return encode


def unavailable():
  """Loads nothing: there must be nothing to encode."""
  raise AssertionError("the encoder was loaded")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
  return make_collection(tmp_path_factory.mktemp("data") / "collection")


def test_every_document_is_encoded_with_its_title(corpus, tmp_path):
  config = EmbedConfig(encoder=hashing)
  found = embed.run(config, corpus, tmp_path / "out")
  assert list(found.docnos) == list(corpus.docnos)
  assert found.vectors.dtype == np.float16
  texts = [document.contents for document in corpus.documents()]
  np.testing.assert_array_equal(found.vectors, hashing()(texts))
  assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_manifest_names_what_decides(corpus, tmp_path):
  salted = functools.partial(hashing, salt="x")
  config = EmbedConfig(encoder=salted, dtype="float32", batch_size=7)
  found = embed.run(config, corpus, tmp_path / "out", gin_text="x = 1")
  manifest = artifacts.verify(tmp_path / "out")
  assert manifest.stage == "embed"
  assert manifest.inputs == {"collection": corpus.identity}
  assert manifest.arguments["dtype"] == "float32"
  assert manifest.arguments["encoder"]["salt"] == "x"
  assert "batch_size" not in str(manifest.arguments)
  assert found.identity == manifest.identity
  assert found.vectors.dtype == np.float32


def test_what_stands_is_not_made_again(tmp_path):
  corpus = make_collection(tmp_path / "collection", 3)
  first = embed.run(EmbedConfig(encoder=hashing), corpus, tmp_path / "out")
  before = (tmp_path / "out" / artifacts.PROVENANCE).read_text()
  again = embed.run(EmbedConfig(encoder=hashing), corpus, tmp_path / "out")
  assert again.identity == first.identity
  assert (tmp_path / "out" / artifacts.PROVENANCE).read_text() == before
  with pytest.raises(ArtifactError, match="encoder"):
    embed.run(EmbedConfig(encoder=unavailable), corpus, tmp_path / "out")


KILLED = """
import os, signal, sys
from pathlib import Path
from genret.core.collection import Collection
from genret.stages import embed
sys.path.insert(0, {tests!r})
import embed_test

def load():
  inner = embed_test.hashing()
  def encode(texts):
    for text in texts:
      print(text, flush=True)
      if "{last}" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(texts)
  return encode

corpus = Collection.open(Path({corpus!r}))
embed.run(embed.EmbedConfig(encoder=load), corpus, Path({out!r}))
"""


def run_script(tmp_path, corpus, *, out, last):
  script = KILLED.format(
    tests=str(tmp_path), corpus=str(corpus.root), out=str(out), last=last
  )
  return subprocess.run(
    [sys.executable, "-c", script], capture_output=True, text=True
  )


def test_a_killed_run_goes_on_and_ends_the_same(corpus, tmp_path):
  (tmp_path / "embed_test.py").symlink_to(__file__)
  whole, broken = tmp_path / "whole", tmp_path / "broken"
  killed_at = f"title {embed.BLOCK + 50} "
  killed = run_script(tmp_path, corpus, out=broken, last=killed_at)
  assert killed.returncode == -9
  assert not broken.exists()
  resumed = run_script(tmp_path, corpus, out=broken, last="never")
  assert resumed.returncode == 0, resumed.stderr
  assert "title 0 " not in resumed.stdout
  assert f"title {embed.BLOCK} " in resumed.stdout
  assert run_script(tmp_path, corpus, out=whole, last="never").returncode == 0
  assert artifacts.identity(broken) == artifacts.identity(whole)
  artifacts.verify(broken)
  hidden = [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]
  assert hidden == []


def test_vectors_of_the_user_are_taken(tmp_path):
  corpus = make_collection(tmp_path / "collection", 5)
  path = tmp_path / "v.npy"
  np.save(path, np.arange(10, dtype=np.float64).reshape(5, 2) + 1)
  config = EmbedConfig(encoder=unavailable, vectors=str(path), dtype="float32")
  found = embed.run(config, corpus, tmp_path / "out")
  np.testing.assert_array_equal(found.vectors, np.load(path))
  manifest = artifacts.load(tmp_path / "out")
  assert manifest.inputs["vectors"] == artifacts.file_hash(path)
  assert str(path) not in str(manifest.arguments)


def test_a_part_takes_the_vectors_of_the_whole(corpus, tmp_path):
  whole = embed.run(EmbedConfig(encoder=hashing), corpus, tmp_path / "whole")
  part = make_collection(tmp_path / "part", embed.BLOCK + 3)
  config = EmbedConfig(encoder=unavailable, vectors=str(tmp_path / "whole"))
  found = embed.run(config, part, tmp_path / "out")
  assert found.docnos == part.docnos
  np.testing.assert_array_equal(found.vectors, whole.vectors[: embed.BLOCK + 3])
  manifest = artifacts.load(tmp_path / "out")
  assert manifest.inputs["vectors"] == whole.identity
  config = EmbedConfig(encoder=unavailable, vectors=tmp_path / "out")
  with pytest.raises(DataError, match="no vector of .* such as 'd1027'"):
    embed.run(config, corpus, tmp_path / "no")
  assert not (tmp_path / "no").exists()


def test_vectors_that_do_not_fit_are_refused(tmp_path):
  corpus = make_collection(tmp_path / "collection", 5)
  path, out = tmp_path / "v.npy", tmp_path / "out"
  with pytest.raises(DataError, match=r"v\.npy: .*\.npy file"):
    embed.run(EmbedConfig(vectors=path), corpus, out)
  np.save(path, np.ones((4, 2)))
  with pytest.raises(DataError, match="4 rows .* 5 documents"):
    embed.run(EmbedConfig(vectors=path), corpus, out)
  np.save(path, np.full((5, 2), 1e6))
  with pytest.raises(ConfigError, match="float32"):
    embed.run(EmbedConfig(vectors=path), corpus, out)
  np.save(path, np.array([[1.0, 2], [1, 2], [1e-9, 1e-8], [1, 0], [2, 0]]))
  with pytest.raises(
    ConfigError, match="document 2 is all zeros in float16.*dtype='float32'"
  ):
    embed.run(EmbedConfig(vectors=path), corpus, out)
  assert not out.exists()
  embed.run(EmbedConfig(vectors=path, dtype="float32"), corpus, out)


def test_the_shipped_vectors_need_no_encoder(tmp_path):
  config = prepare.PrepareConfig(source=embedded.squad)
  squad = prepare.run(config, tmp_path / "collection")
  shipped = EmbedConfig(encoder=unavailable, vectors=store.squad)
  found = embed.run(shipped, squad, tmp_path / "out")
  assert found.vectors.shape == (2067, 384)
  other = make_collection(tmp_path / "other", 5)
  with pytest.raises(UserError, match="embedded collection"):
    embed.run(shipped, other, tmp_path / "out2")


@pytest.mark.parametrize("setting", [{"dtype": "int8"}, {"batch_size": 0}])
def test_settings_that_cannot_be_are_refused(setting):
  [name] = setting
  with pytest.raises(ConfigError, match=name):
    EmbedConfig(**setting)
