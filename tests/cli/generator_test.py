from genret.cli import gin_setup
from genret.cli.generator import COMMAND
from genret.stages import generator
from genret.tasks.reversed import PairConfig


def built(*arguments, files=(COMMAND.run_file,)):
  settings = ["--gin.COLLECTION=c", "--gin.OUT=o", *arguments]
  _, found = gin_setup.split(settings)
  return gin_setup.load(files, found).build(generator.run)


def test_run_file_is_cross_fitted():
  values = built()
  config = values["config"]
  assert isinstance(config, generator.GeneratorConfig)
  assert (config.folds, config.pairs) == (5, PairConfig())
  assert config.model.docid_vocab_size is None
  assert (values["collection"], values["out"]) == ("c", "o")


def test_an_encoder_of_its_own_is_a_file_after_it():
  values, _ = COMMAND.read(
    [
      "--gin_file=runs/generator.gin",
      "--gin_file=models/minilm.gin",
      "--gin.FROZEN_BELOW=6",
      "--collection=c",
      "--out=o",
    ]
  )
  config = values["config"]
  assert config.model.encoder.frozen_below == 6
  assert config.model.input_vocabulary == "bert_uncased"


def test_flags_are_read():
  given = COMMAND.parser().parse(["--folds=1", "--grades", "--seed=3"])
  assert (given.folds, given.grades, given.seed) == (1, True, 3)
