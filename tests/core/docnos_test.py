import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core import docnos as module
from genret.core.docnos import Docnos
from genret.core.errors import UserError

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


@settings(deadline=None, max_examples=50)
@given(st.lists(text, unique=True), st.data())
def test_look_ups_are_those_of_a_dict(strings, data):
  docnos = Docnos.from_strings(strings)
  number = {docno: row for row, docno in enumerate(strings)}
  asked = data.draw(st.lists(st.one_of(text, st.sampled_from([*strings, ""]))))
  expected = [number.get(docno, -1) for docno in asked]
  assert docnos.find(asked).tolist() == expected
  assert docnos.find(iter(asked)).tolist() == expected
  assert docnos.find(Docnos.from_strings(asked)).tolist() == expected
  back = docnos.rows(reversed(strings)).tolist()
  assert back == list(range(len(strings)))[::-1]
  assert [docno in docnos for docno in asked] == [row >= 0 for row in expected]


@settings(deadline=None, max_examples=50)
@given(st.lists(text), st.data())
def test_taken_rows_and_equality_are_those_of_lists(strings, data):
  docnos = Docnos.from_strings(strings)
  rows = data.draw(
    st.lists(st.integers(0, len(strings) - 1)) if strings else st.just([])
  )
  assert list(docnos.take(rows)) == [strings[row] for row in rows]
  other = data.draw(st.one_of(st.lists(text), st.permutations(strings)))
  assert (docnos == Docnos.from_strings(other)) == (strings == other)


def test_blocks_do_not_show(monkeypatch):
  monkeypatch.setattr(module, "_BLOCK", 3)
  strings = [f"d{i * i}" for i in range(20)]
  docnos = Docnos.from_strings(strings)
  assert list(docnos) == strings
  assert docnos[4:17] == strings[4:17] and docnos[5:2] == []
  assert docnos == Docnos.from_strings(strings)
  assert docnos != Docnos.from_strings([*strings[:-1], "x"])
  assert docnos.find(["d4", "no", *strings]).tolist() == [2, -1, *range(20)]
  assert list(docnos.take(np.arange(19, -1, -2))) == strings[::-2]
  listed = "".join(f"{docno}\n" for docno in strings)
  assert docnos.checksum == hashlib.sha256(listed.encode()).hexdigest()


def test_strings_of_one_fingerprint_are_told_apart(monkeypatch):
  monkeypatch.setattr(
    module,
    "fingerprints",
    lambda text, offsets: np.full(len(offsets) - 1, 7, np.uint64),
  )
  docnos = Docnos.from_strings(["b", "aa", "a", "b"])
  assert docnos.find(["a", "aa", "b", "c", ""]).tolist() == [2, 1, 0, -1, -1]


def test_an_unknown_docno_is_named():
  docnos = Docnos.from_strings(["a", "b"])
  with pytest.raises(UserError, match="docno 'x' .2 of 3 docnos are unknown"):
    docnos.rows(iter(["a", "x", "y"]))
  with pytest.raises(IndexError):
    docnos.take([-1])


def test_docnos_written_one_by_one(tmp_path):
  with module.writing(tmp_path) as add:
    for docno in ("a", "", "zwölf"):
      add(docno)
  assert Docnos.load(tmp_path) == ["a", "", "zwölf"]
