import numpy as np
import pytest

from genret.core import artifacts
from genret.core.artifacts import Recipe
from genret.core.docnos import Docnos
from genret.core.errors import ArtifactError, DataError, UserError
from genret.corpora import embedded
from genret.embeddings import store
from genret.embeddings.store import EmbeddingStore

DOCNOS = ["a", "b", "c"]
VECTORS = np.array([[1, 2], [3, 4], [5, 6]], np.float16)


def saved(path, array):
  np.save(path, array)
  return path


def test_what_is_saved_is_loaded_memory_mapped(tmp_path):
  EmbeddingStore(vectors=VECTORS, docnos=DOCNOS).save(tmp_path / "out")
  loaded = EmbeddingStore.load(tmp_path / "out")
  np.testing.assert_array_equal(loaded.vectors, VECTORS)
  assert isinstance(loaded.vectors, np.memmap)
  assert loaded.vectors.dtype == np.float16
  assert list(loaded.docnos) == DOCNOS
  assert (loaded.num_documents, loaded.dim) == (3, 2)


def test_identity_is_of_the_content_or_of_the_artifact(tmp_path):
  made = EmbeddingStore(vectors=VECTORS, docnos=DOCNOS)
  assert (
    made.identity == EmbeddingStore(vectors=VECTORS, docnos=DOCNOS).identity
  )
  others = [
    EmbeddingStore(vectors=VECTORS, docnos=["a", "c", "b"]),
    EmbeddingStore(vectors=VECTORS + 1, docnos=DOCNOS),
    EmbeddingStore(vectors=VECTORS.astype(np.float32), docnos=DOCNOS),
  ]
  assert made.identity not in [other.identity for other in others]
  with artifacts.building(tmp_path / "out", Recipe(stage="embed")) as folder:
    made.save(folder)
  loaded = EmbeddingStore.load(tmp_path / "out")
  assert loaded.identity == artifacts.identity(tmp_path / "out")


def test_a_folder_without_embeddings_is_said(tmp_path):
  with pytest.raises(ArtifactError, match="genret embed"):
    EmbeddingStore.load(tmp_path)
  with artifacts.building(tmp_path / "out", Recipe(stage="docids")):
    pass
  with pytest.raises(ArtifactError, match="docids"):
    EmbeddingStore.load(tmp_path / "out")


def test_only_the_collections_own_vectors_are_aligned():
  found = EmbeddingStore(vectors=VECTORS, docnos=DOCNOS)
  assert found.aligned(tuple(DOCNOS)) is VECTORS
  with pytest.raises(UserError, match="3 documents .* 2"):
    found.aligned(["a", "b"])
  with pytest.raises(UserError, match="Row 1 .*'b'.*'x'"):
    found.aligned(["a", "x", "c"])


def test_a_users_file_is_read(tmp_path):
  path = saved(tmp_path / "v.npy", VECTORS)
  found = store.open_npy(path, DOCNOS)
  assert isinstance(found, np.memmap)
  np.testing.assert_array_equal(found, VECTORS)


def test_a_users_file_of_doubles_is_not_copied(tmp_path):
  path = saved(tmp_path / "v.npy", VECTORS.astype(np.float64))
  found = store.open_npy(path, DOCNOS)
  assert isinstance(found, np.memmap)
  assert found.dtype == np.float64


def test_docnos_of_any_kind_are_compared():
  packed = Docnos.from_strings(DOCNOS)
  found = EmbeddingStore(vectors=VECTORS, docnos=packed)
  assert found.aligned(DOCNOS) is found.aligned(packed) is VECTORS
  assert store.docnos_hash(DOCNOS) == store.docnos_hash(packed)
  with pytest.raises(UserError, match="Row 2 .*'c'.*'x'"):
    found.aligned(Docnos.from_strings(["a", "b", "x"]))


WITH_NAN = np.array([[1, 2], [np.nan, 4], [5, np.inf]], np.float32)
WITH_ZEROS = np.array([[1, 2], [3, 4], [0, 0]], np.float32)


@pytest.mark.parametrize(
  "array, message",
  [
    (VECTORS[:2], "2 rows .* 3 documents"),
    (VECTORS[0], "shape"),
    (VECTORS[:, :0], "shape"),
    (VECTORS.astype(np.int64), "float16 or float32, not int64"),
    (np.array(["a", "b", "c"]), "shape"),
    (WITH_NAN, "row 1 holds NaN or infinity"),
    (WITH_ZEROS, "row 2 is all zeros"),
    (np.array([{}, {}, {}]), "cannot be read"),
  ],
)
def test_a_users_file_that_cannot_be_is_refused(tmp_path, array, message):
  path = saved(tmp_path / "v.npy", array)
  with pytest.raises(DataError, match=message) as error:
    store.open_npy(path, DOCNOS)
  assert error.value.path == path


def test_files_that_are_no_arrays_are_refused(tmp_path):
  text = tmp_path / "v.npy"
  text.write_text("0.1 0.2\n")
  empty = tmp_path / "empty.npy"
  empty.write_bytes(b"")
  for path in (text, empty, tmp_path / "none.npy"):
    with pytest.raises(DataError, match="cannot be read"):
      store.open_npy(path, DOCNOS)
  archive = tmp_path / "v.npz"
  np.savez(archive, vectors=VECTORS)
  with pytest.raises(DataError, match="archive"):
    store.open_npy(archive, DOCNOS)


def test_the_shipped_vectors_are_those_of_the_embedded_collection():
  documents = list(embedded.squad().documents())
  docnos = [document.docno for document in documents]
  found = store.squad(docnos)
  assert found.vectors.shape == (2067, 384)
  assert found.vectors.dtype == np.float16
  vectors = found.vectors.astype(np.float32)
  np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
  # Neighbours in this corpus are paragraphs of one article.
  alike = (vectors[1:] * vectors[:-1]).sum(1).mean()
  apart = (vectors[1000:] * vectors[:-1000]).sum(1).mean()
  assert alike > 0.4 > 0.1 > apart
  with pytest.raises(UserError, match="genret embed"):
    store.squad(docnos[:-1])
  with pytest.raises(UserError, match="genret embed"):
    store.squad(docnos[::-1])
