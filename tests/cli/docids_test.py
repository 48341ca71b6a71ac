import numpy as np
import pytest

from genret.cli import main
from genret.core.docid_table import DocidTable


def docids(collection, out, *more):
  given = [f"--collection={collection}", f"--out={out}"]
  return main.main(["docids", *given, *more])


@pytest.mark.parametrize("scheme", ["atomic", "naive", "sequential", "docno"])
def test_every_scheme_has_a_file(scheme, collection, tmp_path, capsys):
  files = ["--gin_file=runs/docids.gin", f"--gin_file=docids/{scheme}.gin"]
  assert docids(collection, tmp_path / "d", *files) == 0
  assert DocidTable.load(tmp_path / "d").num_documents == 6
  assert "next: genret train" in capsys.readouterr().out


def test_atomic_is_the_default(collection, tmp_path, capsys):
  assert docids(collection, tmp_path / "d") == 0
  assert DocidTable.load(tmp_path / "d").scheme == "atomic"


def test_scheme_by_reference(collection, tmp_path):
  out = tmp_path / "d"
  assert docids(collection, out, "--gin.SCHEME=@naive.fit", "--seed=3") == 0
  assert DocidTable.load(out).scheme == "naive"


def test_semantic_reads_embeddings(collection, tmp_path, capsys):
  np.save(tmp_path / "v.npy", np.eye(6, dtype=np.float32))
  vectors = ["--collection", str(collection), f"--out={tmp_path}/v"]
  assert main.main(["embed", *vectors, f"--vectors={tmp_path}/v.npy"]) == 0
  files = ["--gin_file=runs/docids.gin", "--gin_file=docids/semantic.gin"]
  given = [*files, f"--embeddings={tmp_path}/v", "--gin.LEAF_SIZE=2"]
  assert docids(collection, tmp_path / "d", *given) == 0
  manifest = (tmp_path / "d" / "manifest.json").read_text()
  assert "genret.docids.semantic.fit" in manifest
  assert '"leaf_size": 2' in manifest.replace('":2', '": 2')


def test_semantic_without_embeddings_says_so(collection, tmp_path, capsys):
  files = ["--gin_file=runs/docids.gin", "--gin_file=docids/semantic.gin"]
  assert docids(collection, tmp_path / "d", *files) == 2
  error = capsys.readouterr().err
  assert "EMBEDDINGS is required and not set" in error
  assert error.count("\n") == 1


def test_folder_that_is_no_collection_is_one_line(tmp_path, capsys):
  assert docids(tmp_path, tmp_path / "d") == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and "genret prepare" in error
