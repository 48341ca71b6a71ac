"""Costs of dual encoders of random weights, by hand where it is short."""

import functools

import pytest

from genret.core.errors import ArtifactError
from genret.stages import costs
from genret.stages.account import Search
from genret.stages.compared_costs import Compared, ComparedStep, multiplied
from genret.stages.costs import CostsConfig
from genret.stages.latency import Timing
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


def test_a_token_passes_through_the_encoder_and_the_projection(account):
  norms = 3 * D + 32 * 2  # two of the layer and the last; position buckets
  assert multiplied(account("mean").spec) == LAYER + D * DIM + norms


def test_a_step_is_read_from_the_manifest(untrained_dual):
  step = ComparedStep.of(untrained_dual("mean"))
  assert (step.rows, step.negatives) == (4, 1)
  assert isinstance(step.optimizer, AdamW)
  assert step.formula() == 6 * multiplied(step.spec) * 4 * (L + 2 * M)
  assert step.counted() > 0.8 * step.formula()


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
