import numpy as np

from genret.cli import main
from genret.embeddings.store import EmbeddingStore


def embed(collection, out, *more):
  given = [f"--collection={collection}", f"--out={out}"]
  return main.main(["embed", *given, *more])


def test_stores_ready_vectors(collection, tmp_path, capsys):
  np.save(tmp_path / "v.npy", np.ones((6, 3), np.float32))
  out = tmp_path / "vectors"
  assert embed(collection, out, f"--vectors={tmp_path}/v.npy") == 0
  assert EmbeddingStore.load(out).dim == 3
  assert "6 vectors of 3 dimensions" in capsys.readouterr().out


def test_vectors_of_another_collection_are_refused(
  collection, tmp_path, capsys
):
  np.save(tmp_path / "v.npy", np.ones((5, 3), np.float32))
  assert embed(collection, tmp_path / "o", f"--vectors={tmp_path}/v.npy") == 2
  assert capsys.readouterr().err.count("\n") == 1
