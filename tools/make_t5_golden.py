"""Makes tests/data/t5_golden.npz: what `transformers`' T5 computes.

A random tiny T5.1.1, its weights under `transformers`' names, padded inputs,
and the logits that torch gives for them, whole and step by step. The tests
compare with the stored values, so that they need no torch.

  pip install torch transformers && python tools/make_t5_golden.py
"""

from pathlib import Path

import numpy as np

OUT = Path(__file__).parents[1] / "tests" / "data" / "t5_golden.npz"
SHAPE = {
  "vocab_size": 64,
  "d_model": 16,
  "d_kv": 8,
  "d_ff": 24,
  "num_layers": 2,
  "num_decoder_layers": 2,
  "num_heads": 3,
}


def make() -> dict[str, np.ndarray]:
  """Returns weights, inputs and outputs by name."""
  import torch
  import transformers

  torch.manual_seed(0)
  model = transformers.T5ForConditionalGeneration(
    transformers.T5Config(
      **SHAPE,
      feed_forward_proj="gated-gelu",
      tie_word_embeddings=False,
      decoder_start_token_id=0,
      dropout_rate=0.1,
    )
  ).eval()
  with torch.no_grad():  # biases and scales at their start would hide faults
    for parameter in model.parameters():
      parameter.add_(0.3 * torch.randn_like(parameter))
  rng = np.random.default_rng(0)
  inputs = rng.integers(2, 64, size=(3, 20))
  inputs[1, 11:] = 0
  inputs[2, 4:] = 0
  decoder_inputs = rng.integers(2, 64, size=(3, 6))
  decoder_inputs[:, 0] = 0
  with torch.no_grad():
    logits = _logits(model, inputs, decoder_inputs)
    steps = [
      _logits(model, inputs, decoder_inputs[:, : t + 1])[:, -1]
      for t in range(decoder_inputs.shape[1])
    ]
  weights = {
    f"weights/{name}": value.numpy()
    for name, value in model.state_dict().items()
    if not name.endswith("embed_tokens.weight")
  }
  return weights | {
    "inputs": inputs.astype(np.int32),
    "decoder_inputs": decoder_inputs.astype(np.int32),
    "logits": logits,
    "steps": np.stack(steps, axis=1),
  }


def _logits(model, inputs: np.ndarray, decoder_inputs: np.ndarray):
  import torch

  return model(
    input_ids=torch.from_numpy(inputs),
    attention_mask=torch.from_numpy((inputs != 0).astype(np.int64)),
    decoder_input_ids=torch.from_numpy(decoder_inputs),
  ).logits.numpy()


if __name__ == "__main__":
  OUT.parent.mkdir(exist_ok=True)
  np.savez_compressed(OUT, **make())
  print(f"wrote {OUT}, {OUT.stat().st_size:,} bytes")
