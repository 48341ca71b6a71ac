import functools
import json
import logging

import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.artifacts import Recipe
from genret.core.collection import Collection, Document
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError, UserError
from genret.docids import atomic, lexical, naive, permuted, semantic
from genret.embeddings.store import EmbeddingStore
from genret.stages import docids
from genret.stages.docids import DocidsConfig

COUNT = 12
SEMANTIC = functools.partial(semantic.fit, k=3, leaf_size=4)


def same_for_all(collection, *, embeddings=None, seed=0):
  """Gives all documents but one the same docid."""
  docnos = collection.docnos
  codes = np.full((len(docnos), 1), 2)
  codes[0] = 3
  return DocidTable(codes=codes, docnos=docnos, vocab_size=4, scheme="same")


@pytest.fixture
def corpus(tmp_path):
  recipe = Recipe(
    stage=collection.STAGE,
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  documents = [
    Document(docno=f"d{i}", title="", text=f"text {i}") for i in range(COUNT)
  ]
  with artifacts.building(tmp_path / "collection", recipe) as draft:
    collection.write(draft, documents=documents, queries=[], qrels={})
  return Collection.open(tmp_path / "collection")


@pytest.fixture
def vectors(corpus):
  places = np.arange(COUNT, dtype=np.float32)
  return EmbeddingStore(
    vectors=np.stack([places, places**2], axis=1), docnos=corpus.docnos
  )


@pytest.mark.parametrize(
  "scheme",
  [atomic.fit, naive.fit, naive.fit_sequential, lexical.fit_docno],
)
def test_schemes_without_vectors(corpus, tmp_path, scheme):
  made = docids.run(
    DocidsConfig(scheme=scheme, seed=3), corpus, None, out=tmp_path / "out"
  )
  expected = scheme(corpus, seed=3)
  np.testing.assert_array_equal(made.codes, expected.codes)
  assert list(made.docnos) == list(corpus.docnos)
  assert made.vocab_size == expected.vocab_size
  assert made.text_vocabulary == expected.text_vocabulary


def test_figures_are_printed(corpus, tmp_path, capsys):
  docids.run(DocidsConfig(), corpus, None, out=tmp_path / "out")
  assert "uniqueness           1.0000" in capsys.readouterr().out


def test_semantic_docids_and_their_manifest(corpus, vectors, tmp_path):
  config = DocidsConfig(scheme=SEMANTIC, seed=2)
  made = docids.run(config, corpus, vectors, out=tmp_path / "out")
  assert made.scheme == "semantic"
  manifest = artifacts.verify(tmp_path / "out")
  assert manifest.stage == "docids"
  assert manifest.seed == 2
  assert manifest.arguments["scheme"] == {
    "function": "genret.docids.semantic.fit",
    "iterations": None,
    "k": 3,
    "leaf_size": 4,
    "max_depth": 16,
    "sample": 8_192,
  }
  assert manifest.inputs == {
    "collection": corpus.identity,
    "embeddings": vectors.identity,
  }
  figures = json.loads((tmp_path / "out" / docids.QUALITY).read_text())
  assert figures["uniqueness"] == 1
  assert figures["num_documents"] == COUNT


def test_the_same_docids_have_the_same_identity(corpus, vectors, tmp_path):
  config = DocidsConfig(scheme=SEMANTIC)
  for name in ("one", "two"):
    docids.run(config, corpus, vectors, out=tmp_path / name)
  one, two = (artifacts.identity(tmp_path / n) for n in ("one", "two"))
  assert one == two


def test_what_stands_is_not_made_again(corpus, vectors, tmp_path):
  out = tmp_path / "out"
  docids.run(DocidsConfig(scheme=SEMANTIC), corpus, vectors, out=out)
  before = (out / artifacts.PROVENANCE).read_text()
  docids.run(DocidsConfig(scheme=SEMANTIC), corpus, vectors, out=out)
  assert (out / artifacts.PROVENANCE).read_text() == before
  other = functools.partial(SEMANTIC, k=2)
  with pytest.raises(ArtifactError, match='"k": 3.*"k": 2'):
    docids.run(DocidsConfig(scheme=other), corpus, vectors, out=out)


def test_vectors_of_another_collection_are_refused(corpus, tmp_path):
  other = EmbeddingStore(
    vectors=np.ones((COUNT, 2), np.float32),
    docnos=[f"x{i}" for i in range(COUNT)],
  )
  config = DocidsConfig(scheme=SEMANTIC)
  with pytest.raises(UserError, match="'x0'.*'d0'"):
    docids.run(config, corpus, other, out=tmp_path / "out")
  with pytest.raises(ConfigError, match="genret embed"):
    docids.run(config, corpus, None, out=tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_few_distinct_docids_are_warned_about(corpus, tmp_path, caplog):
  config = DocidsConfig(scheme=same_for_all)
  with caplog.at_level(logging.WARNING):
    docids.run(config, corpus, None, out=tmp_path / "out")
  assert "only 16.7 % of same docids" in caplog.text
  assert "11 documents share theirs" in caplog.text
  caplog.clear()
  with caplog.at_level(logging.WARNING):
    docids.run(DocidsConfig(), corpus, None, out=tmp_path / "atomic")
  assert not caplog.records


def test_collisions_are_resolved_as_asked(
  corpus, vectors, tmp_path, caplog, capsys
):
  config = DocidsConfig(scheme=same_for_all, collisions="extra")
  with caplog.at_level(logging.WARNING):
    made = docids.run(config, corpus, vectors, out=tmp_path / "extra")
  assert not made.collisions() and not caplog.records
  assert made.length == 2
  manifest = artifacts.load(tmp_path / "extra")
  assert manifest.arguments["collisions"] == "extra"
  figures = json.loads((tmp_path / "extra" / docids.QUALITY).read_text())
  assert len(figures["similarity"]) == 2
  assert (figures["resolved"], figures["collisions"]) == (11, 0)
  assert "11 documents by one more symbol" in capsys.readouterr().out
  config = DocidsConfig(scheme=same_for_all, collisions="forbid")
  with pytest.raises(UserError, match="11 documents share 1 docids"):
    docids.run(config, corpus, None, out=tmp_path / "forbid")
  assert not (tmp_path / "forbid").exists()
  with pytest.raises(ConfigError, match="Did you mean 'forbid'"):
    DocidsConfig(collisions="forbidden")


def test_the_control_names_the_scheme_in_its_manifest(
  corpus, vectors, tmp_path
):
  control = functools.partial(permuted.fit, scheme=SEMANTIC)
  config = DocidsConfig(scheme=control)
  made = docids.run(config, corpus, vectors, out=tmp_path / "out")
  assert made.scheme == "permuted semantic"
  described = artifacts.load(tmp_path / "out").arguments["scheme"]
  assert described["function"] == "genret.docids.permuted.fit"
  assert described["scheme"]["function"] == "genret.docids.semantic.fit"
  assert described["scheme"]["k"] == 3


def test_a_seed_below_zero_is_refused():
  with pytest.raises(ConfigError, match="seed is at least 0; -1 came"):
    DocidsConfig(scheme=naive.fit, seed=-1)
