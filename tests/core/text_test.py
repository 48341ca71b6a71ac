import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core import text
from genret.core.errors import ArtifactError, ConfigError, UserError
from genret.core.text import Tokenizer, normalise_query

SENTENCE = "translate English to German: The house is wonderful."
IDS = [13959, 1566, 12, 2968, 10, 37, 629, 19, 1627, 5]


@pytest.fixture(scope="module")
def tokenizer():
  return Tokenizer()


def test_ids_of_the_t5_papers_sentence(tokenizer):
  assert tokenizer.encode([SENTENCE], max_length=32) == [IDS + [1]]
  assert tokenizer.encode([SENTENCE], max_length=32, eos=False) == [IDS]


def test_a_long_text_is_cut_so_that_eos_fits(tokenizer):
  assert tokenizer.encode([SENTENCE], max_length=4) == [IDS[:3] + [1]]
  assert tokenizer.encode([SENTENCE], max_length=4, eos=False) == [IDS[:4]]
  assert tokenizer.encode([SENTENCE, ""], max_length=1) == [[1], [1]]


def test_decode_ends_at_eos_and_skips_pads(tokenizer):
  assert tokenizer.decode([0, *IDS, 1, 629]) == SENTENCE
  assert tokenizer.decode(np.array(IDS)) == SENTENCE


def test_ids_beyond_the_pieces_decode_as_unknown(tokenizer):
  assert "⁇" in tokenizer.decode([32_099])
  assert tokenizer.vocab_size == 32_128


def test_pad(tokenizer):
  padded = tokenizer.pad([[5, 6], [], [7]], 3)
  assert padded.dtype == np.int32
  assert padded.tolist() == [[5, 6, 0], [0, 0, 0], [7, 0, 0]]
  with pytest.raises(UserError, match="Row 1 has 2 ids; 1 fit"):
    tokenizer.pad([[1], [2, 3]], 1)


def test_wrong_calls_say_so(tokenizer):
  with pytest.raises(UserError, match="one string came"):
    tokenizer.encode("text", max_length=4)
  with pytest.raises(UserError, match="at least 1; 0 came"):
    tokenizer.encode(["text"], max_length=0)


def test_a_missing_model_names_its_path(tmp_path):
  with pytest.raises(ArtifactError, match="none.model"):
    Tokenizer(tmp_path / "none.model")


def test_a_model_of_ones_own(tmp_path, tokenizer):
  from importlib import resources

  shipped = resources.files("genret") / "data" / "t5_vocab" / "spiece.model"
  path = tmp_path / "copy.model"
  path.write_bytes(shipped.read_bytes())
  assert Tokenizer(path).encode([SENTENCE], max_length=9) == tokenizer.encode(
    [SENTENCE], max_length=9
  )


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_normalising_twice_changes_nothing(written):
  once = normalise_query(written)
  assert normalise_query(once) == once


@pytest.mark.parametrize(
  ("one", "other"),
  [
    ("Who won?", " who  WON? "),
    ("STRASSE", "straße"),
    ("caf\u00e9", "cafe\u0301"),
    ("a\u00a0b\n", "a b"),
  ],
)
def test_texts_that_count_as_the_same(one, other):
  assert normalise_query(one) == normalise_query(other)


def test_punctuation_tells_queries_apart():
  assert normalise_query("us") != normalise_query("u.s.")


def test_vocabularies_are_opened_once_by_name():
  assert text.vocabulary("t5") is text.vocabulary("t5")
  assert text.vocabulary("t5").name == "t5"
  with pytest.raises(ConfigError, match="Did you mean 'bert_uncased'"):
    text.vocabulary("bert_uncase")


@pytest.mark.parametrize("name", ["t5", "bert_uncased"])
def test_rows_are_start_ids_the_texts_own_and_the_end(name):
  vocabulary = text.vocabulary(name)
  assert vocabulary.name == name
  [bare] = vocabulary.encode([SENTENCE], max_length=64, eos=False)
  [whole] = vocabulary.encode([SENTENCE], max_length=64)
  assert whole == [*vocabulary.start_ids, *bare, vocabulary.end_id]
  assert max(whole) < vocabulary.vocab_size
  padded = vocabulary.pad([whole], len(whole) + 1)
  assert padded[0, -1] == vocabulary.pad_id


def test_pieces_are_in_the_order_of_their_ids():
  tokenizer = Tokenizer()
  (row,) = tokenizer.encode(["The house"], max_length=8, eos=False)
  assert [tokenizer.pieces[i] for i in row] == ["▁The", "▁house"]
  assert len(tokenizer.pieces) == 32_000
