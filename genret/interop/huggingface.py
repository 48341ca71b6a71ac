"""T5.1.1 weights between `transformers` and our parameter tree.

Only names and transpositions: kernels are [in, out] here and [out, in] there,
the position bias is [heads, buckets] here and [buckets, heads] there. A docid
vocabulary of its own is `decoder.embed_tokens` and `lm_head` there.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax
import numpy as np

from genret.core.errors import ArtifactError

_ATTENTION = {"query": "q", "key": "k", "value": "v", "out": "o"}
# Part of a layer -> its number there and, if it is no norm, its module.
_ENCODER = {
  "pre_attention_layer_norm": (0, ""),
  "attention": (0, "SelfAttention"),
  "pre_mlp_layer_norm": (1, ""),
  "mlp": (1, "DenseReluDense"),
}
_DECODER = {
  "pre_self_attention_layer_norm": (0, ""),
  "self_attention": (0, "SelfAttention"),
  "pre_cross_attention_layer_norm": (1, ""),
  "encoder_decoder_attention": (1, "EncDecAttention"),
  "pre_mlp_layer_norm": (2, ""),
  "mlp": (2, "DenseReluDense"),
}
_HEAD = "decoder/logits_dense/kernel"
_FIXED = {
  "token_embedder/embedding": "shared.weight",
  "decoder/docid_embedder/embedding": "decoder.embed_tokens.weight",
  _HEAD: "lm_head.weight",
  "encoder/encoder_norm/scale": "encoder.final_layer_norm.weight",
  "decoder/decoder_norm/scale": "decoder.final_layer_norm.weight",
} | {
  f"{stack}/relpos_bias/rel_embedding": (
    f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
  )
  for stack in ("encoder", "decoder")
}


def their_name(path: str) -> str:
  """Returns what `transformers` calls a parameter of ours.

  >>> their_name("encoder/layers_3/attention/query/kernel")
  'encoder.block.3.layer.0.SelfAttention.q.weight'
  >>> their_name("decoder/layers_0/pre_mlp_layer_norm/scale")
  'decoder.block.0.layer.2.layer_norm.weight'

  Raises:
    ArtifactError: If T5.1.1 has no such parameter.
  """
  if path in _FIXED:
    return _FIXED[path]
  found = re.fullmatch(r"(encoder|decoder)/layers_(\d+)/(\w+)/(.+)", path)
  parts = _ENCODER if path.startswith("encoder") else _DECODER
  if not found or found[3] not in parts:
    raise ArtifactError(f"T5.1.1 has no parameter {path!r}.")
  stack, layer, part, rest = found.groups()
  number, module = parts[part]
  prefix = f"{stack}.block.{layer}.layer.{number}"
  if not module:
    return f"{prefix}.layer_norm.weight"
  name = rest.removesuffix("/kernel")
  return f"{prefix}.{module}.{_ATTENTION.get(name, name)}.weight"


def to_huggingface(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Renames our parameters.

  Args:
    params: A tree of `genret.models.t5.T5`; the head may be padded, and is
      handed over as it is.

  Returns:
    `transformers`' name -> array, in its layout.
  """
  flat = flax.traverse_util.flatten_dict(dict(params), sep="/")
  return {
    their_name(path): _turned(path, np.asarray(leaf))
    for path, leaf in flat.items()
  }


def from_huggingface(
  weights: Mapping[str, np.ndarray], like: Mapping[str, Any]
) -> dict[str, Any]:
  """Renames the weights of a T5.1.1 of `transformers`.

  Args:
    weights: Its state, names to arrays; names that we do not need, such as
      `encoder.embed_tokens.weight`, are passed over.
    like: A tree of ours, or of shapes, that says what is needed.

  Returns:
    Our tree, float32. Where our head is rounded up to a wider one, the
    columns that only pad it are zeros.

  Raises:
    ArtifactError: If a weight is missing or of another shape.
  """
  flat = flax.traverse_util.flatten_dict(dict(like), sep="/")
  out = {}
  for path, leaf in flat.items():
    name = their_name(path)
    if name not in weights:
      raise ArtifactError(f"The weights hold no {name!r}, our {path!r}.")
    value = _turned(path, np.asarray(weights[name], np.float32))
    if path == _HEAD:
      more = max(leaf.shape[1] - value.shape[1], 0)
      value = np.pad(value, [(0, 0), (0, more)])
    if value.shape != tuple(leaf.shape):
      raise ArtifactError(
        f"{name!r} has shape {list(value.shape)} in our layout; {path!r} is"
        f" {list(leaf.shape)}."
      )
    out[path] = value
  return flax.traverse_util.unflatten_dict(out, sep="/")


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
  """Reads a safetensors file, as `transformers` saves them."""
  from safetensors.numpy import load_file

  return load_file(path)


def _turned(path: str, value: np.ndarray) -> np.ndarray:
  turned = path.endswith(("/kernel", "/rel_embedding"))
  return np.ascontiguousarray(value.T if turned else value)
