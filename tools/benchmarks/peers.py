"""The same T5 in `transformers`: the peer that genret is measured against."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from genret.interop import huggingface
from genret.models.t5 import T5Config

NARROW = T5Config(  # one layer a side, for naive docids
  emb_dim=128,
  num_heads=2,
  mlp_dim=256,
  num_encoder_layers=1,
  num_decoder_layers=1,
)


def torch_t5(params: Mapping[str, Any], config: T5Config) -> Any:
  """Builds `transformers`' T5 with our weights and docid vocabulary.

  Args:
    params: Our tree; the padded columns of the head are left out.
    config: Our configuration.
  """
  import torch
  import transformers

  model = transformers.T5ForConditionalGeneration(
    transformers.T5Config(
      vocab_size=config.vocab_size,
      d_model=config.emb_dim,
      d_kv=config.head_dim,
      d_ff=config.mlp_dim,
      num_layers=config.num_encoder_layers,
      num_decoder_layers=config.num_decoder_layers,
      num_heads=config.num_heads,
      dropout_rate=config.dropout_rate,
      feed_forward_proj="gated-gelu",
      tie_word_embeddings=False,
      decoder_start_token_id=0,
    )
  )
  symbols, width = config.num_symbols, config.emb_dim
  rows = config.docid_embeddings
  model.decoder.embed_tokens = torch.nn.Embedding(rows, width)
  model.lm_head = torch.nn.Linear(width, symbols, bias=False)
  weights = huggingface.to_huggingface(params)
  weights["lm_head.weight"] = weights["lm_head.weight"][:symbols]
  state = {name: torch.tensor(value) for name, value in weights.items()}
  missing, unexpected = model.load_state_dict(state, strict=False)
  tied = {"encoder.embed_tokens.weight"}
  if set(missing) - tied or unexpected:
    raise RuntimeError(f"weights do not match: {missing} {unexpected}")
  return model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Padded:
  """Labelled examples as torch trainers batch them: one a row, padded."""

  inputs: np.ndarray  # [B, L]
  targets: np.ndarray  # [B, T]


def unpack(batch: Mapping[str, np.ndarray], *, inputs_pad: int = 0) -> Padded:
  """Lays the examples of a packed batch out one a row."""
  inputs, targets = [], []
  rows = zip(
    batch["encoder_input_tokens"],
    batch["encoder_segment_ids"],
    batch["decoder_target_tokens"],
    batch["decoder_segment_ids"],
    strict=True,
  )
  for tokens, segments, symbols, symbol_segments in rows:
    for segment in range(1, int(symbol_segments.max()) + 1):
      inputs.append(tokens[segments == segment])
      targets.append(symbols[symbol_segments == segment])
  return Padded(
    inputs=_padded(inputs, inputs_pad), targets=_padded(targets, -100)
  )


def _padded(rows: list[np.ndarray], fill: int) -> np.ndarray:
  out = np.full((len(rows), max(map(len, rows))), fill, np.int64)
  for i, row in enumerate(rows):
    out[i, : len(row)] = row
  return out
