import dataclasses

import pytest

from genret.core.errors import ConfigError
from genret.models.encoder_config import EncoderConfig
from genret.models.sizes import SIZES
from genret.models.t5 import T5Config
from genret.stages import dual_config
from genret.stages.dual_config import TrainConfig
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW, Schedule
from genret.training.partitioning import MeshShape

CONFIG = TrainConfig(
  model=SIZES["tiny"], mixture="m", loop=LoopConfig(train_steps=50)
)


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"temperatures": ()}, "expected numbers over 0, one or more"),
    ({"temperatures": (0.1, 0.0)}, "temperatures are"),
    ({"temperatures": (0.1, 0.2), "dev": None}, "TrainConfig.dev is None"),
    ({"dim": 0}, "dim is 0"),
    (
      {
        "model": T5Config(encoder=EncoderConfig(), emb_dim=384),
        "document_length": 513,
      },
      "Texts of 513 tokens are longer than the 512",
    ),
  ],
)
def test_settings_that_cannot_be_are_refused(given, message):
  with pytest.raises(ConfigError, match=message):
    dataclasses.replace(CONFIG, **given)


def test_a_temperature_is_tried_for_a_tenth_of_the_run():
  assert CONFIG.trial_steps == 5
  assert dataclasses.replace(CONFIG, tuning_steps=7).trial_steps == 7


def test_a_trial_is_the_run_in_little():
  """Its learning rate reaches the peak, and comes down as the run's does."""
  schedule = Schedule(warmup_steps=1000, decay="linear")
  config = dataclasses.replace(
    CONFIG,
    loop=LoopConfig(train_steps=10_000),
    optimizer=AdamW(schedule=schedule),
  )
  trial = config.trial
  assert (trial.loop.train_steps, trial.loop.eval_every) == (1000, 1000)
  rate = trial.optimizer.schedule.build(trial.loop.train_steps)
  assert rate(250) == pytest.approx(schedule.peak)
  assert rate(1000) == pytest.approx(0)
  short = dataclasses.replace(schedule, warmup_steps=50)
  optimizer = AdamW(schedule=short)
  config = dataclasses.replace(config, optimizer=optimizer)
  assert config.trial.optimizer == optimizer


def key(**given):
  config = dataclasses.replace(CONFIG, **given)
  return dual_config.recipe(config, mixture="m", inputs={}).key


def test_a_run_is_another_where_its_vectors_are():
  assert key(mesh=MeshShape(fully_sharded=True)) == key()
  assert key(memorised_pairs=5) == key(tuning_steps=3) == key()
  assert key(document_length=64) != key()
  assert key(temperatures=(0.1,)) != key()
  several = {"temperatures": (0.1, 0.2)}
  assert key(**several, tuning_steps=3) != key(**several)
