import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="no torch, no models")

from genret.querygen.drawing import draw  # noqa: E402
from genret.querygen.prompting import Decoding  # noqa: E402
from genret.querygen.shared import SharedModel  # noqa: E402
from genret.querygen.side_by_side import Question, answer  # noqa: E402

DECODING = Decoding(temperature=1.5, top_p=0.95)
PREFIX = [5, 6, 7]
ROOM = 9


def ends(symbol):
  return symbol < 6  # of 24, so that answers end at many lengths


def model():
  torch.manual_seed(0)
  return transformers.LlamaForCausalLM(
    transformers.LlamaConfig(
      vocab_size=24,
      hidden_size=16,
      intermediate_size=16,
      num_hidden_layers=2,
      num_attention_heads=2,
      num_key_value_heads=1,
      max_position_embeddings=64,
    )
  ).eval()


def alone(plain, question, column):
  """One answer, by the model as it is, the whole text at every step."""
  symbols, score = [], 0.0
  for step in range(ROOM):
    text = [*PREFIX, *question.symbols, *symbols]
    with torch.inference_mode():
      logits = plain(torch.tensor([text])).logits[0, -1:].numpy()
    chosen, gained = draw(
      logits, question.uniforms[step, column : column + 1], DECODING
    )
    score += float(gained[0])
    if ends(int(chosen[0])):
      break
    symbols.append(int(chosen[0]))
  return symbols, score


def test_equals_one_answer_at_a_time():
  rng = np.random.default_rng(0)
  questions = [
    Question(symbols=[10, 11], uniforms=rng.random((ROOM, 4))),
    Question(symbols=[12, 13, 14, 15, 16], uniforms=rng.random((ROOM, 2))),
    Question(symbols=[17], uniforms=rng.random((ROOM, 5))),
  ]
  plain, shared = model(), SharedModel(model())
  prefix, _ = shared.read(PREFIX)
  found = answer(shared, prefix, questions, decoding=DECODING, ends=ends)
  lengths = set()
  for question, answers in zip(questions, found, strict=True):
    assert len(answers) == question.uniforms.shape[1]
    for column, one in enumerate(answers):
      symbols, score = alone(plain, question, column)
      assert one.symbols == symbols
      assert one.log_probability == pytest.approx(score, abs=1e-3)
      lengths.add(len(symbols))
  assert len(lengths) > 3 and ROOM in lengths
