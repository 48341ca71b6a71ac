"""Makes tests/data/t5x_golden.tar.xz: checkpoints that t5x itself has written.

  python tools/make_t5x_golden.py

Needs t5x (requirements/t5x.txt). A tiny T5.1.1 of t5x's own takes a step of
t5x's own Adafactor; its state is saved in each layout, and its logits for a
batch beside it:

  legacy/checkpoint_1     msgpack and zarr folders, one a parameter
  orbax/checkpoint_1      orbax, the layout of t5x since 2023
  scanned/checkpoint_1    orbax, layers stacked on axis 1, each with the same
                          position bias
  values.npz              the batch, and the logits of either network
"""

import tarfile
import tempfile
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np

OUT = Path(__file__).parents[1] / "tests" / "data" / "t5x_golden.tar.xz"
SHAPE = {
  "vocab_size": 32,
  "emb_dim": 8,
  "num_heads": 2,
  "head_dim": 3,
  "mlp_dim": 12,
  "num_encoder_layers": 2,
  "num_decoder_layers": 2,
  "dropout_rate": 0.0,
  "dtype": "float32",
  "mlp_activations": ("gelu", "linear"),
  "logits_via_embedding": False,
}


def model_of(network: Any, **more: Any) -> Any:
  """Returns t5x's model around one of its networks."""
  import seqio
  from t5x import adafactor, models

  vocabulary = seqio.PassThroughVocabulary(32)
  return models.EncoderDecoderModel(
    module=network.Transformer(network.T5Config(**SHAPE, **more)),
    input_vocabulary=vocabulary,
    output_vocabulary=vocabulary,
    optimizer_def=adafactor.Adafactor(
      decay_rate=0.8,
      step_offset=0,
      logical_factor_rules=adafactor.standard_logical_factor_rules(),
    ),
  )


def batch() -> dict[str, np.ndarray]:
  """Returns two padded rows."""
  inputs = np.array([[5, 9, 3, 1, 0], [7, 2, 31, 4, 1]], np.int32)
  targets = np.array([[4, 8, 1], [30, 1, 0]], np.int32)
  return {
    "encoder_input_tokens": inputs,
    "decoder_target_tokens": targets,
    "decoder_input_tokens": np.pad(targets[:, :-1], [(0, 0), (1, 0)]),
    "decoder_loss_weights": (targets > 0).astype(np.int32),
  }


def trained(model: Any) -> Any:
  """Returns t5x's train state after one step."""
  from t5x import train_state

  shapes = {name: value.shape for name, value in batch().items()}
  types = {name: value.dtype for name, value in batch().items()}
  variables = model.get_initial_variables(jax.random.key(0), shapes, types)
  state = train_state.FlaxOptimTrainState.create(model.optimizer_def, variables)
  gradient = jax.grad(lambda p: model.loss_fn(p, batch(), None)[0])
  return state.apply_gradient(gradient(state.params), learning_rate=1e-2)


def sharing_biases(state: Any) -> Any:
  """Gives every layer the position bias of the first, as T5.1.1 has it."""
  params = flax.core.unfreeze(state.params)
  for stack in ("encoder", "decoder"):
    owner = params[stack][stack]["relpos_bias"]
    first = owner["rel_embedding"][:, :1]  # [H, 1, buckets]
    owner["rel_embedding"] = jnp.broadcast_to(
      first, owner["rel_embedding"].shape
    )
  return state.replace_params(flax.core.freeze(params))


def save(model: Any, state: Any, folder: Path, *, legacy: bool) -> np.ndarray:
  """Saves a state in a layout of t5x; returns its logits."""
  from t5x import checkpoints, partitioning

  folder.mkdir()
  partitioner = partitioning.PjitPartitioner(num_partitions=1)
  if legacy:
    checkpoints.Checkpointer(state, partitioner, str(folder)).save(state)
  else:
    saver = checkpoints.OrbaxCheckpointManagerInterface(
      str(folder), state, partitioner
    )
    saver.save(state)
    saver.wait_until_finished()
    saver.close()
  return np.asarray(model._compute_logits(state.params, batch()))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
  member.mtime = member.uid = member.gid = 0
  member.uname = member.gname = ""
  return member


def main() -> None:
  """Writes the file."""
  from t5x.examples.scalable_t5 import network as scalable
  from t5x.examples.t5 import network

  plain, scanned = model_of(network), model_of(scalable, scan_layers=True)
  state, stacked = trained(plain), sharing_biases(trained(scanned))
  with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    logits = save(plain, state, folder / "legacy", legacy=True)
    save(plain, state, folder / "orbax", legacy=False)
    logits_scanned = save(scanned, stacked, folder / "scanned", legacy=False)
    values = batch() | {"logits": logits, "logits_scanned": logits_scanned}
    np.savez(folder / "values.npz", **values)
    with tarfile.open(OUT, "w:xz") as file:
      for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        file.add(path, path.relative_to(folder).as_posix(), filter=_plain)
  print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
  main()
