import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genret.models.t5 import T5, T5Config
from genret.stages import held_out
from genret.stages.held_out import Curve
from genret.tasks.text_stream import Text, TextBatches
from genret.training.losses import Loss
from genret.training.partitioning import MeshShape
from genret.training.step import Program

MODEL = T5Config(
  emb_dim=8,
  num_heads=1,
  head_dim=8,
  mlp_dim=8,
  num_encoder_layers=1,
  num_decoder_layers=1,
  dropout_rate=0.5,
)
PROGRAM = Program(
  model=T5(MODEL),
  num_symbols=MODEL.num_symbols,
  optimizer=optax.sgd(0.1),
  loss=Loss(),
  seed=0,
  mesh=MeshShape().build(),
)
TEXT = Text.of(np.arange(10, 310).reshape(30, 10))


def opened() -> TextBatches:
  return TextBatches(TEXT, inputs_length=16, batch_size=4)


def test_the_loss_is_that_of_the_same_rows_each_time(tmp_path):
  curve = Curve(path=tmp_path / "curve.json", tokens_a_step=100)
  evaluate = held_out.evaluation(PROGRAM, opened(), rows=11, curve=curve)
  params = PROGRAM.init_state().params
  found = evaluate(params, 2)
  assert evaluate(params, 5) == found
  assert found[held_out.MEASURE] == -found["loss"]
  assert [(p["step"], p["tokens"]) for p in curve.points()] == [
    (2, 200),
    (5, 500),
  ]
  # By hand, without dropout: two whole batches of 11 rows.
  model = T5(dataclasses.replace(MODEL, dropout_rate=0.0))
  losses = []
  for _, batch in zip(range(2), opened(), strict=False):
    logits = model.apply(
      {"params": params},
      batch["encoder_input_tokens"],
      batch["decoder_input_tokens"],
    )
    likely = jax.nn.log_softmax(logits)
    targets = batch["decoder_target_tokens"]
    losses.append(-jnp.take_along_axis(likely, targets[..., None], axis=2))
  assert found["loss"] == pytest.approx(float(jnp.mean(jnp.array(losses))))


def test_a_point_that_is_measured_again_replaces_what_follows(tmp_path):
  curve = Curve(path=tmp_path / "curve.json", tokens_a_step=10)
  for step, loss in ((1, 9.0), (2, 8.0), (3, 7.0), (2, 6.0)):
    curve.add(step, {"loss": loss, "accuracy": 0.0, held_out.MEASURE: -loss})
  assert [(point["step"], point["loss"]) for point in curve.points()] == [
    (1, 9.0),
    (2, 6.0),
  ]
