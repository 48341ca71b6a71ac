"""Steps of finished runs, as their manifests have them."""

import dataclasses

import pytest

from genret.core.errors import ArtifactError
from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig
from genret.stages import trained_step
from genret.stages.trained_step import TrainedStep
from genret.training import abstract_step
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, AdamW
from genret.training.sampled import Sampled

BERT = BertConfig(
  emb_dim=8,
  num_heads=2,
  mlp_dim=16,
  num_layers=1,
  vocab_size=50,
  max_positions=40,
)


@pytest.fixture(scope="module")
def found(untrained):
  return TrainedStep.of(untrained("semantic"))


def frozen(step, *, cached_states, below=1):
  config = dataclasses.replace(
    step.config,
    emb_dim=8,
    encoder=EncoderConfig(bert=BERT, frozen_below=below),
  )
  return TrainedStep(
    step=dataclasses.replace(step, config=config), cached_states=cached_states
  )


def test_a_step_is_read_from_the_manifest(found):
  assert isinstance(found.step.optimizer, AdamW)
  assert found.step.batch_size == 4
  assert (found.step.input_length, found.step.target_length) == (32, 16)
  assert found.step.loss == Loss() and not found.cached_states


def test_it_counts_as_the_step_does(found):
  assert found.counted() == abstract_step.step_flops(
    found.step, trained_step.ALONE
  )


def test_states_that_are_kept_are_not_made_again(found):
  kept = frozen(found.step, cached_states=True)
  made = frozen(found.step, cached_states=False)
  learned = frozen(found.step, cached_states=False, below=0)
  assert kept.counted() < made.counted() < learned.counted()
  assert kept.formula() < made.formula() < learned.formula()


def test_a_batch_that_is_read_twice_costs_twice(found):
  twice = dataclasses.replace(
    found.step,
    loss=Loss(consistency=0.15),
    config=dataclasses.replace(found.step.config, dropout_rate=0.1),
  )
  assert TrainedStep(step=twice).formula() == 2 * found.formula()


def test_settings_tell_optimizers_and_losses_apart():
  made = dataclasses.asdict(Adafactor(decay_rate=0.7))
  assert isinstance(trained_step.optimizer_of(made), Adafactor)
  sample = {"negatives": 7, "distribution": "uniform"}
  assert trained_step._loss({"head": sample}).head == Sampled(negatives=7)


def test_a_run_that_is_not_finished_is_refused(tmp_path):
  with pytest.raises(ArtifactError):
    TrainedStep.of(tmp_path)
