import functools

import pytest

from genret.core.errors import ConfigError, DataError
from genret.corpora import beir, embedded, irds, kilt, msmarco, named


def test_the_embedded_collection():
  assert named.find("squad") is embedded.squad


def test_an_ir_datasets_id():
  found = named.find("ir_datasets:beir/scifact")
  assert isinstance(found, functools.partial)
  assert found.func is irds.read
  assert found.args == ("beir/scifact",)


def test_paths_are_told_by_what_they_hold(tmp_path):
  for name, marker, reader in (
    ("a", "corpus.jsonl.gz", beir.read),
    ("b", "collection.tsv", msmarco.read),
    ("c", "kilt_knowledgesource.json.gz", kilt.read),
  ):
    (tmp_path / name).mkdir()
    (tmp_path / name / marker).write_bytes(b"")
    found = named.find(str(tmp_path / name))
    assert (found.func, found.args) == (reader, (tmp_path / name,))


def test_an_unknown_name_is_suggested():
  with pytest.raises(ConfigError, match="'sqad'.*Did you mean 'squad'?"):
    named.find("sqad")


def test_a_folder_of_neither_layout(tmp_path):
  with pytest.raises(DataError, match="neither corpus.jsonl.*collection.tsv"):
    named.find(str(tmp_path))


def test_a_file_that_is_no_archive(tmp_path):
  (tmp_path / "a.txt").write_text("x")
  with pytest.raises(DataError, match="a.txt: is neither a folder nor a read"):
    named.find(str(tmp_path / "a.txt"))
