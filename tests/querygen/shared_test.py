import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="no torch, no models")

from genret.core.errors import ConfigError  # noqa: E402
from genret.querygen.shared import Part, SharedModel, joined  # noqa: E402

PREFIX = [5, 6, 7, 8, 9]
DOCUMENTS = [[10, 11, 12], [20, 21, 22, 23, 24, 25], [30, 31]]
WRITTEN = [
  [[40, 41, 42], [43, 44, 45]],
  [[46, 47, 48], [49, 50, 51]],
  [[52, 53, 54], [55, 56, 57]],
]


def config(**fields):
  given = {
    "vocab_size": 64,
    "hidden_size": 48,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
  }
  return transformers.LlamaConfig(**given | fields)


@pytest.fixture(scope="module")
def models():
  """The same tiny Llama twice: as transformers runs it, and shared."""
  torch.manual_seed(0)
  plain = transformers.LlamaForCausalLM(config()).eval()
  other = transformers.LlamaForCausalLM(config())
  other.load_state_dict(plain.state_dict())
  return plain, SharedModel(other)


def expected(plain, symbols):
  with torch.inference_mode():
    return plain(torch.tensor([symbols])).logits[0, -1]


def test_reading_equals_the_model_as_it_is(models):
  plain, shared = models
  prefix, logits = shared.read(PREFIX)
  torch.testing.assert_close(logits[0], expected(plain, PREFIX))
  for document in DOCUMENTS:
    _, logits = shared.read(document, (prefix,))
    torch.testing.assert_close(logits[0], expected(plain, PREFIX + document))


def test_steps_side_by_side_equal_the_model_as_it_is(models):
  plain, shared = models
  prefix, _ = shared.read(PREFIX)
  documents = joined([shared.read(one, (prefix,))[0] for one in DOCUMENTS])
  own, width = Part(), 2
  written = torch.tensor(WRITTEN).reshape(6, 3)
  for step in range(3):
    starts = prefix.size + documents.lengths + step
    logits = shared.step(
      written[:, step],
      (prefix, documents),
      own,
      positions=starts.repeat_interleave(width),
    )
  for row in range(6):
    whole = PREFIX + DOCUMENTS[row // width] + written[row].tolist()
    torch.testing.assert_close(logits[row], expected(plain, whole))


def test_groups_that_are_taken_go_on_alone(models):
  plain, shared = models
  prefix, _ = shared.read(PREFIX)
  documents = joined([shared.read(one, (prefix,))[0] for one in DOCUMENTS])
  own = Part()
  positions = prefix.size + documents.lengths
  first = torch.tensor([40, 41, 42])
  shared.step(first, (prefix, documents), own, positions=positions)
  kept = torch.tensor([1])
  own, documents = own.taken(kept), documents.taken(kept)
  logits = shared.step(
    torch.tensor([43]), (prefix, documents), own, positions=positions[kept] + 1
  )
  whole = PREFIX + DOCUMENTS[1] + [41, 43]
  torch.testing.assert_close(logits[0], expected(plain, whole))


def test_windows_are_refused():
  window = transformers.MistralForCausalLM(
    transformers.MistralConfig(
      vocab_size=8,
      hidden_size=8,
      intermediate_size=8,
      num_hidden_layers=1,
      num_attention_heads=1,
      num_key_value_heads=1,
      sliding_window=4,
    )
  )
  with pytest.raises(ConfigError, match="sliding_attention cannot be read"):
    SharedModel(window)
