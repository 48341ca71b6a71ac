import dataclasses

import pytest

from genret.core.errors import ConfigError
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.querygen.generator import GeneratorSpec
from genret.stages import generator_config
from genret.stages.generator_config import GeneratorConfig
from genret.tasks.packing import RowLengths
from genret.tasks.reversed import PairConfig
from genret.training.loop import LoopConfig
from genret.training.partitioning import MeshShape

MODEL = T5Config()
CONFIG = GeneratorConfig(
  model=MODEL, loop=LoopConfig(train_steps=8), batch_size=8
)


def test_what_queries_are_written_with_follows_from_how_pairs_are_read():
  config = dataclasses.replace(
    CONFIG, folds=2, pairs=PairConfig(grades=True, targets_length=9)
  )
  assert config.spec == GeneratorSpec(folds=2, grades=True, targets_length=9)
  assert config.row == RowLengths(inputs=512, targets=128)


def test_how_the_machine_works_is_no_part_of_what_is_made():
  other = dataclasses.replace(
    CONFIG,
    model=dataclasses.replace(MODEL, remat="full"),
    mesh=MeshShape(model=2),
    accumulate=2,
  )
  ours, theirs = map(generator_config.arguments, (CONFIG, other))
  assert ours == theirs
  assert (
    generator_config.arguments(dataclasses.replace(CONFIG, folds=4)) != ours
  )


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"folds": 0}, "folds is 0"),
    ({"held_out_share": 0.0}, "held_out_share lies between"),
    ({"batch_size": 0}, "batch_size is 0"),
    ({"accumulate": 3}, "expected a divisor of the batch_size, 8"),
    (
      {"model": dataclasses.replace(MODEL, docid_vocab_size=9, docid_length=2)},
      "A generator writes text",
    ),
    (
      {
        "model": T5Config(emb_dim=384, encoder=EncoderConfig()),
        "pairs": PairConfig(inputs_length=600),
      },
      "longer than the 512 positions",
    ),
  ],
)
def test_settings_that_cannot_be(settings, message):
  with pytest.raises(ConfigError, match=message):
    dataclasses.replace(CONFIG, **settings)
