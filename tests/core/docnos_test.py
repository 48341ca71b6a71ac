import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.docnos import Docnos

text = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None, max_examples=50)
@given(st.lists(text))
def test_round_trip(strings):
  with tempfile.TemporaryDirectory() as folder:
    Docnos.from_strings(strings).save(Path(folder))
    loaded = Docnos.load(Path(folder))
    assert list(loaded) == strings
    assert loaded == strings
    assert loaded == tuple(strings)


def test_indexing_is_that_of_a_list():
  strings = ["a", "", "zwölf", "d"]
  docnos = Docnos.from_strings(strings)
  assert docnos[-2] == "zwölf"
  assert docnos[1:] == strings[1:]
  assert docnos[::-1] == strings[::-1]
  assert docnos.index("d") == 3
  assert "zwölf" in docnos
  with pytest.raises(IndexError):
    docnos[4]


def test_inequality():
  docnos = Docnos.from_strings(["a", "b"])
  assert docnos != ["a"]
  assert docnos != ["a", "c"]
  assert docnos != "ab"


def test_a_cut_file_is_noticed(tmp_path):
  Docnos.from_strings(["abc", "d"]).save(tmp_path)
  (tmp_path / "docnos.bytes").write_bytes(b"abc")
  with pytest.raises(ValueError, match="has 3 bytes; 4 are expected"):
    Docnos.load(tmp_path)
