import json
import shutil

import numpy as np
import pytest

from genret.core import artifacts, collection, rungs
from genret.core.artifacts import Recipe
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ArtifactError

DOCUMENTS = [Document(docno=f"d{i}", title="", text=f"t{i}") for i in range(5)]


def prepare(folder, documents=DOCUMENTS):
  recipe = Recipe(
    stage=collection.STAGE,
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(
      draft,
      documents=documents,
      queries=[Query(query_id="q", text="which")],
      qrels={"test": {"q": {"d3": 1}}},
    )
  return Collection.open(folder)


def part(folder, parent, rows):
  """A rung without queries."""
  recipe = Recipe(
    stage=rungs.STAGE,
    arguments={"name": "part"},
    inputs={rungs.INPUT: parent.identity},
    format_version=rungs.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe, aside=[rungs.PARENT]) as draft:
    np.save(draft / rungs.ROWS, np.array(rows, np.int32))
    (draft / collection.DOCNOS).mkdir()
    parent.docnos.take(rows).save(draft / collection.DOCNOS)
    artifacts.write_json(draft / collection.SUMMARY, {"documents": len(rows)})
    rungs.write_parent(draft, parent.root, final=folder)
  return Collection.open(folder)


@pytest.fixture
def parent(tmp_path):
  return prepare(tmp_path / "home" / "toy")


@pytest.fixture
def rung(tmp_path, parent):
  return part(tmp_path / "home" / "ladder" / "3", parent, [0, 1, 3])


def read(opened, rows=None):
  return [document.docno for document in opened.documents(rows)]


def test_a_rung_reads_its_documents_from_the_collection(rung, parent):
  assert rung.name == "part" and rung.num_documents == 3
  assert rung.docnos == ["d0", "d1", "d3"]
  assert list(rung.documents()) == [DOCUMENTS[i] for i in (0, 1, 3)]
  assert read(rung, [2, 0]) == ["d3", "d0"]
  assert rung.parent.identity == parent.identity and parent.parent is None
  assert not (rung.root / collection.CORPUS).exists()


def test_a_rung_of_a_rung(rung, tmp_path):
  inner = part(tmp_path / "inner", rung, [1, 2])
  assert read(inner) == list(inner.docnos) == ["d1", "d3"]
  assert read(inner, [1]) == ["d3"]


def test_both_may_move_and_the_identity_stays(rung, tmp_path):
  (tmp_path / "home").rename(tmp_path / "elsewhere")
  moved = Collection.open(tmp_path / "elsewhere" / "ladder" / "3")
  assert read(moved) == ["d0", "d1", "d3"]
  assert moved.identity == rung.identity
  artifacts.verify(moved.root)


def test_a_rung_may_move_alone(rung, tmp_path):
  rung.root.rename(tmp_path / "alone")
  assert read(Collection.open(tmp_path / "alone")) == ["d0", "d1", "d3"]


def test_where_it_lies_is_no_part_of_the_identity(rung, parent, tmp_path):
  other = part(tmp_path / "a" / "b" / "c", parent, [0, 1, 3])
  assert other.identity == rung.identity
  assert "a/b" not in (other.root / rungs.PARENT).read_text()
  assert rungs.PARENT not in artifacts.load(rung.root).files


def test_a_missing_collection(rung, parent):
  shutil.rmtree(parent.root)
  with pytest.raises(ArtifactError) as error:
    Collection.open(rung.root)
  assert f"was in {parent.root}; there is none now" in str(error.value)
  assert "genret ladder" in str(error.value)


def test_another_collection_in_its_place(rung, parent):
  shutil.rmtree(parent.root)
  other = prepare(parent.root, DOCUMENTS[:4])
  with pytest.raises(ArtifactError) as error:
    Collection.open(rung.root)
  assert f"rung of collection {parent.identity[:12]}" in str(error.value)
  assert f"another one ({other.identity[:12]})" in str(error.value)


@pytest.mark.parametrize("text", [None, "{", json.dumps({"relative": ".."})])
def test_a_lost_or_broken_pointer(rung, text):
  path = rung.root / rungs.PARENT
  if text is None:
    path.unlink()
  else:
    path.write_text(text)
  with pytest.raises(ArtifactError, match="parent.json, which says where"):
    Collection.open(rung.root)


def test_a_rung_of_another_format(rung):
  path = rung.root / artifacts.MANIFEST
  manifest = json.loads(path.read_text())
  path.write_text(json.dumps(manifest | {"format_version": 99}))
  with pytest.raises(ArtifactError, match="format version 99"):
    Collection.open(rung.root)
