from pathlib import Path

import numpy as np
import pytest

from genret.cli import main
from genret.core.collection import Collection
from genret.core.docid_table import DocidTable

ROOT = Path(__file__).parents[2]


def docids(collection, out, *more):
  given = [f"--collection={collection}", f"--out={out}"]
  return main.main(["docids", *given, *more])


FILES = {path.stem for path in (ROOT / "gin_configs/docids").glob("*.gin")}
OF_VECTORS = {
  "semantic": ["--gin.LEAF_SIZE=2"],
  "semantic_2d": ["--gin.LEAF_SIZE=2"],
  "residual": ["--gin.LEVELS=2", "--gin.CODEBOOK_SIZE=2"],
  "product": ["--gin.LEVELS=2", "--gin.CODEBOOK_SIZE=2"],
  "rqvae": ["--gin.LEVELS=1", "--gin.CODEBOOK_SIZE=2", "--gin.RQVAE_STEPS=0"],
}
CONTROLS = {f"{scheme}_permuted": OF_VECTORS[scheme] for scheme in OF_VECTORS}


@pytest.fixture(scope="module")
def vectors(collection, tmp_path_factory):
  folder = tmp_path_factory.mktemp("vectors")
  drawn = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
  np.save(folder / "v.npy", drawn)
  given = [f"--collection={collection}", f"--out={folder / 'v'}"]
  assert main.main(["embed", *given, f"--vectors={folder}/v.npy"]) == 0
  return folder / "v"


@pytest.mark.parametrize(
  "scheme", sorted(FILES - {*OF_VECTORS, *CONTROLS, "imported"})
)
def test_every_scheme_has_a_file(scheme, collection, tmp_path, capsys):
  files = ["--gin_file=runs/docids.gin", f"--gin_file=docids/{scheme}.gin"]
  assert docids(collection, tmp_path / "d", *files) == 0
  assert DocidTable.load(tmp_path / "d").num_documents == 6
  assert "next: genret train" in capsys.readouterr().out


@pytest.mark.parametrize("scheme", [*OF_VECTORS, *CONTROLS])
def test_every_scheme_of_vectors_has_a_file(
  scheme, collection, vectors, tmp_path, capsys
):
  files = ["--gin_file=runs/docids.gin", f"--gin_file=docids/{scheme}.gin"]
  given = [f"--embeddings={vectors}", *(OF_VECTORS | CONTROLS)[scheme]]
  assert docids(collection, tmp_path / "d", *files, *given) == 0
  table = DocidTable.load(tmp_path / "d")
  assert table.scheme.startswith("permuted ") == (scheme in CONTROLS)
  flat = scheme in ("semantic", "semantic_permuted")
  assert (table.level_starts is None) == flat
  assert "mean cosine of documents" in capsys.readouterr().out


def test_docids_of_another_system_are_known_by_their_file(
  collection, tmp_path, capsys
):
  files = ["--gin_file=runs/docids.gin", "--gin_file=docids/imported.gin"]
  docnos = Collection.open(collection).docnos
  theirs = tmp_path / "theirs.tsv"
  theirs.write_text("".join(f"{d}\t{i} 7\n" for i, d in enumerate(docnos)))
  given = [*files, f"--gin.DOCIDS_FILE={theirs}"]
  assert docids(collection, tmp_path / "d", *given) == 0
  assert DocidTable.load(tmp_path / "d").codes[5].tolist() == [7, 9]
  again = [*files, f"--gin.DOCIDS_FILE={theirs.rename(tmp_path / 'b.tsv')}"]
  assert docids(collection, tmp_path / "d", *again) == 0
  (tmp_path / "b.tsv").write_text("")
  assert docids(collection, tmp_path / "d", *again) == 2
  assert "sha256" in capsys.readouterr().err
  assert docids(collection, tmp_path / "e", *given) == 2
  assert "no file of docids" in capsys.readouterr().err


def test_the_policy_of_collisions_has_a_flag(collection, tmp_path, capsys):
  files = ["--gin_file=runs/docids.gin", "--gin_file=docids/keywords.gin"]
  out = tmp_path / "d"
  assert docids(collection, out, *files, "--collisions=never") == 2
  assert "must be 'share' or 'extra' or 'forbid'" in capsys.readouterr().err
  assert docids(collection, out, *files, "--collisions=forbid") == 0
  manifest = (out / "manifest.json").read_text().replace(" ", "")
  assert '"collisions":"forbid"' in manifest


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
