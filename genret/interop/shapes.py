"""What the shapes of a T5.1.1's parameters say of its configuration."""

import re
from typing import Any

from genret.core.errors import ArtifactError
from genret.interop.leaves import Leaves
from genret.models.sizes import T5Config

_TEXT = "token_embedder/embedding"
_DOCIDS = "decoder/docid_embedder/embedding"
_HEAD = "decoder/logits_dense/kernel"
_BIAS = "encoder/relpos_bias/rel_embedding"
_QUERY = "encoder/layers_0/attention/query/kernel"
_GATE = "encoder/layers_0/mlp/wi_0/kernel"


def config_of(
  params: Leaves, *, docid_length: int | None = None, **known: Any
) -> T5Config:
  """Reads a T5.1.1's configuration off its parameters.

  Args:
    params: by our names.
    docid_length: T, which no shape tells.
    **known: fields that are known; they win.

  Returns:
    The configuration; what is in no shape, dropout and the like, is at its
    default.

  Raises:
    ArtifactError: these are not the parameters of a T5.1.1.
  """
  if "encoder/layers_0/mlp/wi/kernel" in params:
    raise ArtifactError(
      "This is a T5 1.0 (its MLP has no gate: encoder/layers_0/mlp/wi); genret"
      " runs T5.1.1. Give a checkpoint of T5.1.1, LM-adapted or Flan included."
    )
  for path in (_TEXT, _BIAS, _QUERY, _GATE, _HEAD):
    if path not in params:
      raise ArtifactError(
        f"T5.1.1 has a parameter {path!r}; this checkpoint has none. It has"
        f" {len(params)}, such as {', '.join(sorted(params)[:3])}."
      )
  vocab_size, emb_dim = params[_TEXT].shape
  num_heads, buckets = params[_BIAS].shape
  head_width = params[_HEAD].shape[1]
  fields: dict[str, Any] = {
    "vocab_size": vocab_size,
    "emb_dim": emb_dim,
    "num_heads": num_heads,
    "head_dim": params[_QUERY].shape[1] // num_heads,
    "mlp_dim": params[_GATE].shape[1],
    "num_encoder_layers": _num_layers(params, "encoder"),
    "num_decoder_layers": _num_layers(params, "decoder"),
    "relpos_buckets": buckets,
    "head_multiple": 1 if head_width % 128 else 128,
  }
  if _DOCIDS in params:
    rows = params[_DOCIDS].shape[0]
    fields["docid_vocab_size"] = head_width if rows == 1 else rows
    docid_length = 1 if rows == 1 else docid_length
  return T5Config(**fields | {"docid_length": docid_length} | known)


def _num_layers(params: Leaves, stack: str) -> int:
  pattern = re.compile(rf"{stack}/layers_(\d+)/")
  found = {m[1] for path in params if (m := pattern.match(path))}
  return len(found)
