"""Our model under t5x itself; skipped where t5x is not installed."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import traverse_util

pytest.importorskip(
  "t5x",
  reason="t5x is not on PyPI; requirements/t5x.txt says how to install it",
)

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.interop import t5x_model
from genret.interop.leaves import Leaf
from genret.interop.t5x import T5xCheckpoint
from genret.models.t5 import T5Config
from genret.training import losses
from genret.training.partitioning import MeshShape

ROOT = Path(__file__).parents[2]
SHAPE = {
  "emb_dim": 32,
  "num_heads": 2,
  "head_dim": 8,
  "mlp_dim": 64,
  "num_encoder_layers": 1,
  "num_decoder_layers": 1,
}
CONFIG = T5Config(**SHAPE, dropout_rate=0.0)


def table_of(kind):
  """Returns docids of several symbols, or one symbol a document."""
  rng = np.random.default_rng(0)
  if kind == "atomic":
    codes, vocab_size = np.arange(2, 38)[:, None], 38
  else:
    codes = np.unique(rng.integers(2, 12, (36, 3)), axis=0)
    vocab_size = 12
  return DocidTable(
    codes=codes.astype(np.uint16),
    docnos=[f"d{i}" for i in range(len(codes))],
    vocab_size=vocab_size,
    scheme=kind,
  )


def optimizer():
  from t5x import adafactor

  return adafactor.Adafactor(
    decay_rate=0.8,
    step_offset=0,
    logical_factor_rules=t5x_model.factor_rules(),
  )


def model_of(kind, **options):
  return t5x_model.DocidModel(CONFIG, table_of(kind), optimizer(), **options)


def variables_of(model, batch):
  shapes = {name: array.shape for name, array in batch.items()}
  return jax.jit(lambda key: model.get_initial_variables(key, shapes))(
    jax.random.key(1)
  )


def batch_of(table, *, packed=False):
  """Returns four rows; packed ones hold two examples each."""
  rng = np.random.default_rng(1)
  inputs = rng.integers(3, 999, (4, 10)).astype(np.int32)
  targets = np.asarray(table.codes[rng.integers(0, len(table.codes), 8)])
  targets = targets.astype(np.int32).reshape(4, -1)  # two docids a row
  length = table.length
  shifted = np.pad(targets[:, :-1], [(0, 0), (1, 0)])
  shifted[:, length] = 0
  weights = np.ones_like(targets)
  if not packed:
    inputs[1, 6:] = 0
    targets, shifted, weights = (
      array[:, :length] for array in (targets, shifted, weights)
    )
    weights[3] = 0
  batch = {
    "encoder_input_tokens": inputs,
    "decoder_input_tokens": shifted,
    "decoder_target_tokens": targets,
    "decoder_loss_weights": weights,
  }
  if packed:
    for side, (split, width) in {
      "encoder": (4, 10),
      "decoder": (length, 2 * length),
    }.items():
      segments = np.where(np.arange(width) < split, 1, 2)
      batch[f"{side}_segment_ids"] = np.tile(segments, (4, 1))
      positions = np.where(segments == 1, np.arange(width), 0)
      batch[f"{side}_positions"] = np.tile(positions, (4, 1))
  return batch


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["hand", "atomic"])
def test_both_engines_compute_the_same_loss(kind, packed):
  model = model_of(kind, z_loss=1e-2)
  batch = batch_of(model.table, packed=packed)
  params = variables_of(model, batch)["params"]
  ours, (theirs, metrics) = jax.jit(
    lambda params: (
      losses.batch_sums(
        model.module,
        params,
        batch,
        num_symbols=model.table.vocab_size,
        loss=losses.Loss(z_loss=1e-2),
        key=jax.random.key(0),
        mesh=MeshShape().build(),
      ),
      model.loss_fn(params, batch, None),
    )
  )(params)
  np.testing.assert_allclose(ours.total, theirs, rtol=1e-5)
  z_loss = metrics["z_loss"].compute()  # a mean over steps; this is one
  assert z_loss > 0
  np.testing.assert_allclose(ours.z_loss, z_loss, rtol=1e-5)


@pytest.mark.parametrize("kind", ["hand", "atomic"])
def test_predictions_are_what_t5x_scores_best(kind):
  """t5x's own `score_batch` of every docid is the oracle."""
  model = model_of(kind, search=t5x_model.Search(num_beams=40))
  batch = batch_of(model.table)
  params = variables_of(model, batch)["params"]
  found, aux = jax.jit(model.predict_batch_with_aux)(params, batch)
  codes = np.asarray(model.table.codes, np.int32)
  scores = jax.jit(model.score_batch)(
    params,
    {
      "encoder_input_tokens": np.tile(
        batch["encoder_input_tokens"][:1], (len(codes), 1)
      ),
      "decoder_input_tokens": np.pad(codes[:, :-1], [(0, 0), (1, 0)]),
      "decoder_target_tokens": codes,
      "decoder_loss_weights": (codes > 0).astype(np.int32),
    },
  )
  order = np.argsort(scores)
  places = 40 - len(codes)  # that no docid fills
  np.testing.assert_array_equal(found[0, places:], codes[order])
  np.testing.assert_allclose(aux["scores"][0, places:], scores[order], 1e-5)
  assert (found[:, :places] == 0).all()
  assert (aux["scores"][:, :places] == t5x_model.NO_BEAM).all()
  best, aux_best = jax.jit(
    functools.partial(model.predict_batch_with_aux, return_all_decodes=False)
  )(params, batch)
  np.testing.assert_array_equal(best, found[:, -1])
  np.testing.assert_allclose(aux_best["scores"], aux["scores"][:, -1], 1e-5)


def test_labels_are_not_smoothed_over_padding():
  with pytest.raises(ConfigError, match="128 columns"):
    model_of("hand", label_smoothing=0.1)


def test_every_parameter_has_axes_that_the_rules_know():
  model = model_of("hand")
  variables = variables_of(model, batch_of(model.table))
  named = traverse_util.flatten_dict(variables["params_axes"].unfreeze())
  params = traverse_util.flatten_dict(variables["params"].unfreeze())
  assert len(named) == len(params)
  axes = {axis for leaf in named.values() for axis in leaf.names}
  assert axes <= {name for name, _ in t5x_model.logical_axis_rules()}
  assert axes <= set(t5x_model.factor_rules())


@pytest.mark.parametrize("layout", ["legacy", "orbax"])
def test_t5x_restores_what_we_write(tmp_path, layout):
  from t5x import checkpoints, partitioning, train_state

  model = model_of("hand")
  variables = variables_of(model, batch_of(model.table))
  state = train_state.FlaxOptimTrainState.create(model.optimizer_def, variables)
  flat = traverse_util.flatten_dict(state.state_dict(), sep="/")
  rng = np.random.default_rng(0)
  drawn = {
    name: rng.normal(size=leaf.shape).astype(np.float32)
    for name, leaf in flat.items()
    if name != "state/step"
  }
  kept = {name: Leaf.of(array) for name, array in drawn.items()}
  T5xCheckpoint(
    layout=layout,
    step=7,
    params={n[7:]: leaf for n, leaf in kept.items() if n[:6] == "target"},
    state={n[6:]: leaf for n, leaf in kept.items() if n[:5] == "state"},
  ).write(tmp_path)
  manager = checkpoints.OrbaxCheckpointManagerInterface(
    str(tmp_path),
    state,
    partitioning.PjitPartitioner(
      num_partitions=1, logical_axis_rules=t5x_model.logical_axis_rules()
    ),
  )
  restored = manager.restore(path=str(tmp_path / "checkpoint_7"))
  found = traverse_util.flatten_dict(restored.state_dict(), sep="/")
  assert found.pop("state/step") == 7
  assert found.keys() == drawn.keys()
  for name, array in drawn.items():
    np.testing.assert_array_equal(found[name], array)


def run(program, tiny, *bindings):
  """Runs a program of t5x with its shipped file on ten pages."""
  collection, docids = tiny
  given = {"COLLECTION": collection, "DOCIDS": docids, **dict(bindings)}
  given |= {f"T5Config.{name}": value for name, value in SHAPE.items()}
  subprocess.run(
    [
      sys.executable,
      "-m",
      f"t5x.{program}",
      "--gin_search_paths=gin_configs",
      f"--gin_file=t5x/{program}.gin",
      *(f"--gin.{name}={value!r}" for name, value in given.items()),
    ],
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    check=True,
    capture_output=True,
    text=True,
  )


@pytest.mark.slow
def test_ten_steps_and_a_search_from_the_shipped_files(tiny, tmp_path):
  run(
    "train",
    tiny,
    ("MODEL_DIR", str(tmp_path / "model")),
    ("TRAIN_STEPS", 10),
    ("BATCH_SIZE", 8),
    ("TASK_FEATURE_LENGTHS", {"inputs": 32, "targets": 8}),
  )
  checkpoint = tmp_path / "model" / "checkpoint_10"
  assert T5xCheckpoint.open(checkpoint).step == 10
  searching = (
    ("CHECKPOINT_PATH", str(checkpoint)),
    ("BATCH_SIZE", 4),
    ("NUM_BEAMS", 10),
  )
  out = tmp_path / "inferred"
  run("infer", tiny, *searching, ("INFER_OUTPUT_DIR", str(out)))
  [path] = out.glob("genret_queries_test_*.jsonl-00000-of-00001")
  rows = [json.loads(line) for line in path.read_text().splitlines()]
  ids = [row["inputs"]["query_id_pretokenized"] for row in rows]
  assert ids == ["q8", "q9"]
  for row in rows:  # as many beams as docids: each once, best last
    assert sorted(row["prediction"]) == [f"d{i}" for i in range(10)]
    assert row["aux"]["scores"] == sorted(row["aux"]["scores"])
  out = tmp_path / "evaluated"
  run("eval", tiny, *searching, ("EVAL_OUTPUT_DIR", str(out)))
  [path] = out.glob("inference_eval/*-metrics.jsonl")
  assert 0 < json.loads(path.read_text())["RR@10"] <= 1
