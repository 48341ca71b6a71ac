"""T5.1.1 weights between `transformers` and our parameter tree.

Only names and transpositions: kernels are [in, out] here and [out, in] there,
the position bias is [heads, buckets] here and [buckets, heads] there. A docid
vocabulary of its own is `decoder.embed_tokens` and `lm_head` there.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax
import numpy as np

from genret.core import artifacts
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import safetensors_file
from genret.interop.leaves import Leaf, Leaves
from genret.models.sizes import T5Config

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
  leaves = safetensors_file.read(path)
  return {name: leaf.read() for name, leaf in leaves.items()}


def is_model(path: Path) -> bool:
  """Says whether a path is a safetensors file, or a folder with some."""
  return bool(_files(Path(path)))


def read(path: Path) -> dict[str, Leaf]:
  """Lists the parameters of a T5.1.1 of `transformers`.

  Args:
    path: a safetensors file, or the folder of a model, in one file or many.

  Returns:
    Our names -> leaves in our layout, in the precision of the file.
  """
  theirs: dict[str, Leaf] = {}
  for file in _files(Path(path)):
    theirs |= safetensors_file.read(file)
  return {
    name: _turned_leaf(name, theirs[their])
    for their, name in _our_names(theirs).items()
  }


def write(
  folder: Path,
  config: T5Config,
  params: Leaves,
  *,
  advance: Callable[[int], Any] = lambda _: None,
) -> None:
  """Writes a model that `T5ForConditionalGeneration.from_pretrained` reads.

  Args:
    folder: gets model.safetensors and config.json.
    config: of the model.
    params: by our names.
    advance: told the bytes of each array when it is written.

  Raises:
    ConfigError: the decoder has a vocabulary of its own.
  """
  check(config)
  renamed = {
    their_name(name): _turned_leaf(name, leaf) for name, leaf in params.items()
  }
  safetensors_file.write(folder / "model.safetensors", renamed, advance=advance)
  artifacts.write_json(folder / "config.json", _their_config(config))


def check(config: T5Config) -> None:
  """Refuses what no T5 of `transformers` can hold.

  Raises:
    ConfigError: the decoder has a vocabulary of its own.
  """
  if config.docid_vocab_size is not None:
    raise ConfigError(
      "A T5 of transformers has one vocabulary; this one writes docids of"
      f" another ({config.docid_vocab_size:,} symbols). Only models whose"
      " docids are text can be written for it."
    )


def _files(path: Path) -> list[Path]:
  if path.is_file():
    return [path] if path.suffix == ".safetensors" else []
  index = path / "model.safetensors.index.json"
  if index.is_file():
    names = artifacts.read_json(index)["weight_map"]
    return [path / name for name in sorted(set(names.values()))]
  one = path / "model.safetensors"
  return [one] if one.is_file() else []


def _our_names(theirs: Leaves) -> dict[str, str]:
  """Returns their name -> ours, of those that we need."""
  names = dict.fromkeys(_FIXED)
  shared = theirs.get("shared.weight")
  own = theirs.get("decoder.embed_tokens.weight")
  if shared is None or own is None or shared.shape == own.shape:
    names.pop("decoder/docid_embedder/embedding")  # `shared` by another name
  for stack, parts in (("encoder", _ENCODER), ("decoder", _DECODER)):
    found = (re.match(rf"{stack}\.block\.(\d+)\.", name) for name in theirs)
    layers = {int(match[1]) for match in found if match}
    for layer in layers:
      names |= dict.fromkeys(_layer_names(f"{stack}/layers_{layer}", parts))
  known = {their_name(name): name for name in names}
  return {their: name for their, name in known.items() if their in theirs}


def _layer_names(prefix: str, parts: Mapping[str, tuple[int, str]]) -> list:
  names = []
  for part, (_, module) in parts.items():
    kernels = ("wi_0", "wi_1", "wo") if part == "mlp" else tuple(_ATTENTION)
    if module:
      names += [f"{prefix}/{part}/{kernel}/kernel" for kernel in kernels]
    else:
      names.append(f"{prefix}/{part}/scale")
  return names


def _their_config(config: T5Config) -> dict[str, Any]:
  return {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "is_encoder_decoder": True,
    "vocab_size": config.vocab_size,
    "d_model": config.emb_dim,
    "d_kv": config.head_dim,
    "d_ff": config.mlp_dim,
    "num_layers": config.num_encoder_layers,
    "num_decoder_layers": config.num_decoder_layers,
    "num_heads": config.num_heads,
    "relative_attention_num_buckets": config.relpos_buckets,
    "relative_attention_max_distance": config.relpos_max_distance,
    "dropout_rate": config.dropout_rate,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
  }


def _turned(path: str, value: np.ndarray) -> np.ndarray:
  turned = path.endswith(("/kernel", "/rel_embedding"))
  return np.ascontiguousarray(value.T if turned else value)


def _turned_leaf(path: str, leaf: Leaf) -> Leaf:
  if not path.endswith(("/kernel", "/rel_embedding")):
    return leaf
  return leaf.changed(leaf.shape[::-1], np.transpose)
