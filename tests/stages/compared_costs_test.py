"""Costs of dual encoders of random weights, by hand where it is short."""

import dataclasses
import functools

import pytest

from genret.core import artifacts
from genret.core.errors import ArtifactError
from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.retrieval import dual_spec
from genret.stages import costs, dual_config
from genret.stages.account import Search
from genret.stages.compared_costs import Compared, ComparedStep, multiplied
from genret.stages.costs import CostsConfig
from genret.stages.latency import Timing
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW

pytestmark = pytest.mark.usefixtures("compile_once")
D, J, F, DIM, L, M = 16, 16, 32, 8, 16, 32  # widths; tokens read and looked at
LAYER = 4 * D * J + 3 * D * F
DOCUMENTS = 64


@pytest.fixture(scope="module")
def account(untrained_dual, collection):
  @functools.cache
  def make(scoring):
    return Compared.of(untrained_dual(scoring), collection)

  return make


def test_a_query_is_encoded_and_compared_with_all(account):
  found = account("mean").query(Search(), compiled=False)
  parts = found["by_part"]
  attention = 2 * L * L * J
  positions = 2 * 32 * L * L  # buckets of two heads
  encoder = L * LAYER + attention + positions + D * DIM
  assert parts == {
    "encoder": 2 * encoder,
    "comparing": 2 * DOCUMENTS * DIM,
  }
  assert found["counted"] == sum(parts.values())


@pytest.mark.slow
def test_what_is_compiled_adds_little_to_the_products(account):
  found = account("mean").query(Search(), compiled=True)
  assert 0.9 * found["counted"] < found["compiled"] < 3 * found["counted"]


def test_late_interaction_compares_every_pair_of_tokens(account):
  found = account("late").query(Search(), compiled=False)
  assert found["by_part"]["comparing"] == 2 * DOCUMENTS * DIM * L * M
  assert found["compiled"] is None


@pytest.mark.parametrize(("scoring", "projected"), [("mean", 2), ("late", 9)])
def test_texts_or_their_tokens_pass_through_the_projection(
  account, scoring, projected
):
  norms = 3 * D + 32 * 2  # two of the layer and the last; position buckets
  assert multiplied(account(scoring).spec, tokens=9, texts=2) == {
    "encoder": 9 * (LAYER + norms),
    "projection": projected * D * DIM,
  }


def test_a_step_is_read_from_the_manifest(untrained_dual):
  step = ComparedStep.of(untrained_dual("mean"))
  assert (step.rows, step.negatives) == (4, 1)
  assert isinstance(step.optimizer, AdamW)
  found = multiplied(step.spec, tokens=L + 2 * M, texts=3)
  assert step.formula() == 6 * 4 * sum(found.values())
  assert step.counted() > 0.8 * step.formula()


def test_a_frozen_encoder_whose_states_are_cached_costs_nothing(
  untrained_dual, tmp_path
):
  """The manifest says so, as that of a run of `cache_states` does."""
  bert = BertConfig(emb_dim=16, num_heads=2, mlp_dim=32, num_layers=2)
  config = dual_config.TrainConfig(
    model=T5Config(
      emb_dim=16, encoder=EncoderConfig(bert=bert, frozen_below=2)
    ),
    mixture="m",
    dim=DIM,
    batch_size=4,
    optimizer=AdamW(),
    loop=LoopConfig(train_steps=3),
    input_length=L,
    document_length=M,
    cache_states=True,
  )
  recipe = dual_config.recipe(config, mixture="m", inputs={})
  artifacts.begin(tmp_path, recipe)
  config.spec("").save(tmp_path)
  artifacts.seal(tmp_path, recipe, files=[dual_spec.SPEC], started=0.0)
  step = ComparedStep.of(tmp_path)
  assert step == ComparedStep.planned(config) and step.cached_states
  assert step.formula() == 6 * 4 * 2 * D * DIM
  again = dataclasses.replace(step, cached_states=False)
  assert step.counted() < again.counted() / 5
  assert again.formula() > 100 * step.formula()


def test_late_interaction_trains_in_a_loop(untrained_dual):
  step = ComparedStep.of(untrained_dual("late"))
  assert step.compiled() is None
  assert step.counted() > ComparedStep.of(untrained_dual("mean")).counted()


def test_the_command_reads_the_folder(untrained_dual, collection, tmp_path):
  config = CostsConfig(
    timing=Timing(queries=1, batch_size=1, rounds=1), compiled=False
  )
  found = costs.run(
    config, untrained_dual("mean"), collection, out=tmp_path / "costs.json"
  ).figures
  assert found["scheme"] == "dual-encoder"
  assert found["parameters"]["projection"] == D * DIM
  assert found["bytes"]["index"] >= 4 * DOCUMENTS * DIM
  assert found["latency"]["p50_ms"] > 0


def test_a_run_that_is_not_finished_is_refused(tmp_path):
  with pytest.raises(ArtifactError):
    ComparedStep.of(tmp_path)
