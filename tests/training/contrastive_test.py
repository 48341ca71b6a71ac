"""The contrastive loss against its definition, text by text."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genret.core.errors import ConfigError
from genret.embeddings.bert import BertConfig
from genret.models import encoders
from genret.models.dual_encoder import DualEncoder
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.training import contrastive
from genret.training.contrastive import Contrast
from genret.training.partitioning import MeshShape
from genret.training.step import Program

FROZEN = T5Config(
  emb_dim=12,
  dropout_rate=0.0,
  encoder=EncoderConfig(
    bert=BertConfig(
      vocab_size=40, emb_dim=8, num_heads=2, mlp_dim=16, num_layers=2
    ),
    frozen_below=1,
    lexical_dim=4,
  ),
)
NUMBERS = np.array([[4, 7], [5, 4], [6, 9]])
KNOWN = np.array([[4, 9], [5, -1], [6, -1]])


def slow_loss(logits, text):
  every, own = NUMBERS.ravel(), text * NUMBERS.shape[1]
  counted = [
    logits[text, j]
    for j, number in enumerate(every)
    if j == own or number not in KNOWN[text]
  ]
  return np.log(np.exp(counted).sum()) - logits[text, own]


def test_sums_are_those_over_each_text():
  logits = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
  found = contrastive.sums(
    logits, wrong=contrastive.wrong(jnp.array(NUMBERS), jnp.array(KNOWN))
  )
  expected = sum(slow_loss(logits, text) for text in range(3))
  assert float(found.total) == pytest.approx(expected, rel=1e-5)
  assert float(found.weight) == 3


def test_a_text_whose_batch_is_all_right_costs_nothing():
  found = contrastive.sums(jnp.zeros((2, 2)), wrong=jnp.zeros((2, 2), bool))
  assert float(found.total) == 0 and float(found.correct) == 2


@pytest.mark.parametrize(
  "scoring", [pytest.param("mean", marks=pytest.mark.slow), "late"]
)
def test_steps_of_the_common_program_learn_a_batch(scoring):
  rng = np.random.default_rng(0)
  batch = {
    "inputs": rng.integers(2, 40, size=(4, 4)),
    "documents": rng.integers(2, 40, size=(4, 2, 5)),
    "numbers": np.arange(8).reshape(4, 2),
    "known": np.arange(0, 8, 2)[:, None],
  }
  batch = {name: jnp.asarray(part, jnp.int32) for name, part in batch.items()}
  config = T5Config(
    vocab_size=40,
    emb_dim=8,
    num_heads=1,
    head_dim=8,
    mlp_dim=8,
    num_encoder_layers=1,
    dropout_rate=0.0,
  )
  program = Program(
    model=DualEncoder(config, scoring=scoring),
    num_symbols=0,
    optimizer=optax.adam(0.02),
    loss=Contrast(temperature=0.1),
    sums=contrastive.batch_sums,
    seed=0,
    mesh=MeshShape().build(),
  )
  state = program.init_state()
  step = program.compile_step(state)
  losses = []
  for _ in range(30):
    state, metrics = step(state, batch)
    losses.append(float(metrics.loss))
  assert losses[-1] < 0.1 * losses[0]
  assert float(metrics.examples) == 4 and float(metrics.accuracy) == 1


def test_states_of_a_frozen_encoder_stand_for_its_layers():
  model = DualEncoder(FROZEN)
  rng = np.random.default_rng(0)
  batch = {
    "inputs": rng.integers(1, 40, size=(3, 4)),
    "documents": rng.integers(1, 40, size=(3, 2, 5)),
    "numbers": np.arange(6).reshape(3, 2),
    "known": np.arange(0, 6, 2)[:, None],
  }
  tokens = batch["inputs"]
  params = jax.jit(model.init)(jax.random.key(0), tokens, tokens)["params"]
  states = {
    f"{name}_states": encoders.frozen_states(
      params, FROZEN, batch[name].reshape(-1, batch[name].shape[-1])
    ).reshape(*batch[name].shape, -1)
    for name in ("inputs", "documents")
  }
  loss = jax.jit(
    lambda batch: (
      contrastive.batch_sums(
        model, params, batch, loss=Contrast(), key=jax.random.key(1)
      ).total
    )
  )
  assert float(loss(batch | states)) == pytest.approx(float(loss(batch)))
  others = {name: part[::-1] for name, part in states.items()}
  assert float(loss(batch | others)) != pytest.approx(float(loss(batch)))


def test_a_temperature_of_zero_is_refused():
  with pytest.raises(ConfigError, match="temperature is 0"):
    Contrast(temperature=0)
