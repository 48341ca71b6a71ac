import gzip
import hashlib
import tarfile

import pytest

from genret.core.errors import ConfigError, DataError
from genret.corpora import files


def values(file):
  return [line.value for line in file.lines()]


@pytest.fixture
def folder(tmp_path):
  root = tmp_path / "toy"
  (root / "qrels").mkdir(parents=True)
  (root / "corpus.jsonl").write_bytes(b"one\ntwo\n")
  with gzip.open(root / "qrels" / "test.tsv.gz", "wb") as file:
    file.write(b"three\n")
  return root


def pack(folder, suffix, mode):
  path = folder.parent / f"toy{suffix}"
  with tarfile.open(path, mode) as archive:
    archive.add(folder, arcname="toy")
  return path


def test_a_folder(folder):
  found = files.find(folder, marker="corpus.jsonl")
  assert sorted(found) == ["corpus.jsonl", "qrels/test.tsv"]
  assert values(found["qrels/test.tsv"]) == [b"three"]
  lines = list(found["corpus.jsonl"].lines())
  assert [line.number for line in lines] == [1, 2]
  assert lines[0].path == str(folder / "corpus.jsonl")
  assert files.names(folder) == {"corpus.jsonl", "test.tsv"}


@pytest.mark.parametrize(
  ("suffix", "mode"),
  [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")],
)
def test_an_archive_reads_like_its_folder(folder, suffix, mode):
  path = pack(folder, suffix, mode)
  found = files.find(path, marker="corpus.jsonl")
  assert sorted(found) == ["corpus.jsonl", "qrels/test.tsv"]
  assert values(found["corpus.jsonl"]) == [b"one", b"two"]
  assert values(found["corpus.jsonl"]) == [b"one", b"two"]  # once more
  assert values(found["qrels/test.tsv"]) == [b"three"]
  label = found["qrels/test.tsv"].label
  assert label == f"{path}/toy/qrels/test.tsv.gz"
  assert files.digests(found) == {
    "archive": hashlib.sha256(path.read_bytes()).hexdigest()
  }


def test_digests_are_of_the_files_on_disk(folder):
  found = files.find(folder, marker="corpus.jsonl")
  packed = (folder / "qrels" / "test.tsv.gz").read_bytes()
  assert files.digests(found) == {
    "corpus.jsonl": hashlib.sha256(b"one\ntwo\n").hexdigest(),
    "qrels/test.tsv": hashlib.sha256(packed).hexdigest(),
  }


def test_line_ends_and_byte_order_mark_go(tmp_path):
  path = tmp_path / "corpus.jsonl"
  path.write_bytes(b"\xef\xbb\xbfone\r\n\xe2\x80\xa8two\n\nlast")
  found = files.find(tmp_path, marker="corpus.jsonl")["corpus.jsonl"]
  assert values(found) == [b"one", b"\xe2\x80\xa8two", b"", b"last"]


def test_reading_is_lazy(folder):
  found = files.find(folder, marker="corpus.jsonl")["corpus.jsonl"]
  lines = found.lines()
  assert next(lines).value == b"one"
  lines.close()


def test_an_empty_file(folder):
  (folder / "corpus.jsonl").write_bytes(b"")
  found = files.find(folder, marker="corpus.jsonl")["corpus.jsonl"]
  with pytest.raises(DataError, match="corpus.jsonl: the file is empty"):
    list(found.lines())


def test_a_cut_gzip_file_says_how_far_it_went(tmp_path):
  path = tmp_path / "corpus.jsonl.gz"
  whole = gzip.compress(b"".join(b"%d\n" % i for i in range(50_000)))
  path.write_bytes(whole[: len(whole) // 2])
  found = files.find(tmp_path, marker="corpus.jsonl")["corpus.jsonl"]
  with pytest.raises(DataError, match="cannot be read on.*file whole") as error:
    list(found.lines())
  assert error.value.line > 1000


def test_a_file_that_is_no_gzip(tmp_path):
  (tmp_path / "corpus.jsonl.gz").write_bytes(b"{}\n")
  found = files.find(tmp_path, marker="corpus.jsonl")["corpus.jsonl"]
  with pytest.raises(DataError, match=r"corpus\.jsonl\.gz:1: cannot be read"):
    list(found.lines())


def test_what_is_not_there(folder, tmp_path):
  with pytest.raises(DataError, match="none: no such file or folder"):
    files.find(tmp_path / "none", marker="corpus.jsonl")
  with pytest.raises(DataError, match="holds no collection.tsv, plain or .gz"):
    files.find(folder, marker="collection.tsv")
  with pytest.raises(DataError, match="neither a folder nor a readable tar"):
    files.find(folder / "corpus.jsonl", marker="corpus.jsonl")


def test_a_file_in_two_forms_is_refused(folder):
  (folder / "corpus.jsonl.gz").write_bytes(b"")
  with pytest.raises(ConfigError, match="plain and as .gz"):
    files.find(folder, marker="corpus.jsonl")
