from genret.cli import gin_setup
from genret.cli.prompt import COMMAND
from genret.querygen import gguf
from genret.querygen.endpoint import Service
from genret.querygen.prompting import Decoding
from genret.stages import prompt


def built(*arguments):
  settings = ["--gin.COLLECTION=c", "--gin.OUT=o", *arguments]
  _, found = gin_setup.split(settings)
  return gin_setup.load([COMMAND.run_file], found).build(prompt.run)


def test_run_file_has_the_defaults_of_the_stage():
  values = built("--gin.GGUF=smollm2")
  assert values["config"] == prompt.PromptConfig(gguf="smollm2")
  assert (values["collection"], values["out"]) == ("c", "o")


def test_settings_reach_their_places():
  config = built(
    "--gin.ENDPOINT=http://localhost/v1",
    "--gin.MODEL=m",
    "--gin.IN_FLIGHT=3",
    "--gin.EXTRA={'max_tokens': None}",
    "--gin.BATCH_SIZE=4",
    "--gin.TOP_P=0.5",
  )["config"]
  assert config.service == Service(in_flight=3, extra={"max_tokens": None})
  assert config.local == gguf.Local(batch=4)
  assert config.decoding == Decoding(temperature=0.7, top_p=0.5, max_tokens=32)


def test_flags_are_read():
  given = COMMAND.parser().parse(
    ["--gguf=smollm2", "--grades=2,1", "--prices=0.15,0.6", "--as_list"]
  )
  assert (given.gguf, given.grades, given.as_list) == ("smollm2", (2, 1), True)
  assert given.prices == (0.15, 0.6)
