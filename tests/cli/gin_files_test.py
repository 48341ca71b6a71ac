"""Finding gin files, and every file that ships: read, checked, built."""

import dataclasses
import importlib
import pathlib

import gin
import jax
import jax.numpy as jnp
import pytest

from genret.cli import gin_checks, gin_files, gin_reader, gin_setup, main
from genret.cli.gin_names import Seen
from genret.core.errors import ConfigError
from genret.models.sizes import SIZES
from genret.models.t5 import T5

SHIPPED = sorted(
  path.relative_to(gin_files.shipped()).as_posix()
  for path in gin_files.shipped().rglob("*.gin")
  if path.parent.name != "t5x"  # no commands of ours: interop/t5x_model_test
)
# The command whose run file a file of each folder is given after.
COMMAND_OF = {
  "collections": "prepare",
  "docids": "docids",
  "models": "train",
  "tasks": "train",
}
# What required macros are set to, where 'x' will not do.
PLACEHOLDERS = {
  "COLLECTIONS": "('x', 'y')",
  "DOCIDS_FILE": repr(__file__),  # its content is read
  "RUNS": "{'mine': 'mine.trec'}",
}
SETS_OF_QUERIES = "{'mine': 'mine.tsv'}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shipped:
  """A shipped file as a command reads it."""

  stage: object
  files: list[str]
  settings: list[gin_setup.Setting]

  @classmethod
  def of(cls, name):
    files = [name]
    command = _command(
      _configured_stage(name) or COMMAND_OF[name.split("/")[0]]
    )
    if not _configured_stage(name):
      files.insert(0, command.run_file)
    placeholders = dict(PLACEHOLDERS)
    if command.name == "describe_queries":
      placeholders["QUERIES"] = SETS_OF_QUERIES
    required = [
      gin_setup.Setting(
        name=binding.text,
        value=placeholders.get(binding.text, "'x'"),
        flag=f"--gin.{binding.text}",
      )
      for binding in gin_setup.load(files, []).final
      if binding.value == gin_reader.Macro(name=gin_checks.UNSET)
    ]
    stage = importlib.import_module(command.stage).run
    return cls(stage=stage, files=files, settings=required)

  def build(self):
    loaded = gin_setup.load(self.files, self.settings)
    texts = ("text", "gin_text")
    gin_checks.check(loaded, self.stage, filled=texts)
    return loaded.build(self.stage)

  def built_by_gin(self):
    with gin.config.interactive_mode(), gin.unlock_config():
      gin.clear_config()
      gin.add_config_file_search_path(str(gin_files.shipped()))
      for file in self.files:
        gin.parse_config_file(file)
      gin.parse_config([f"{s.name} = {s.value}" for s in self.settings])
      built = gin.get_bindings(self.stage)
      gin.clear_config()
    return built


def _command(name):
  return importlib.import_module(f"genret.cli.{name}").COMMAND


def _configured_stage(name):
  """Returns the command whose stage a file configures by itself, if any."""
  for binding in gin_setup.load([name], []).final:
    stage, _, function = binding.text.rpartition(".")[0].rpartition(".")
    if function == "run" and stage in COMMAND_OF_STAGE:
      return COMMAND_OF_STAGE[stage]
  return None


# Name of a stage's module -> the command that runs it.
COMMAND_OF_STAGE = {
  _command(name).stage.rpartition(".")[2]: name for name in main.COMMANDS
}


def without_functions(value):
  """Replaces functions, which gin wraps, by their names."""
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return (type(value).__name__, without_functions(vars(value)))
  if isinstance(value, dict):
    return {k: without_functions(v) for k, v in value.items()}
  if isinstance(value, (list, tuple)):
    return [without_functions(item) for item in value]
  function = getattr(value, "func", value)
  return getattr(function, "__qualname__", function)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_file_reads_by_itself(name):
  path = gin_files.shipped() / name
  assert list(gin_reader.read_file(path, (), Seen()))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_file_builds_what_gin_builds(name):
  shipped = Shipped.of(name)
  ours, theirs = shipped.build(), shipped.built_by_gin()
  assert without_functions(ours) == without_functions(theirs)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_a_file_and_a_shape(size):
  built = Shipped.of(f"models/t5_1_1_{size}.gin").build()["config"].model
  assert built == SIZES[size]
  tokens = jnp.zeros((2, 3), jnp.int32)
  model = T5(dataclasses.replace(built, docid_vocab_size=12, docid_length=3))
  shapes = jax.eval_shape(
    lambda key: model.init(key, tokens, tokens), jax.random.key(0)
  )
  head = shapes["params"]["decoder"]["logits_dense"]["kernel"]
  assert head.shape == (built.emb_dim, 128)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_file_opens_with_what_it_is(name):
  text = (gin_files.shipped() / name).read_text()
  assert text.startswith("# ")
  assert max(map(len, text.splitlines())) <= 80


def test_every_command_has_a_run_file():
  assert {f"runs/{name}.gin" for name in main.COMMANDS} <= set(SHIPPED)


def test_collections_name_data_sets_that_exist():
  ir_datasets = pytest.importorskip("ir_datasets")
  source = Shipped.of("collections/msmarco_passage.gin").build()
  keywords = source["config"].source.keywords
  for dataset in [keywords["dataset_id"], *keywords["splits"].values()]:
    assert ir_datasets.load(dataset)
  scifact = Shipped.of("collections/scifact.gin").build()["config"].source
  assert ir_datasets.load(scifact.removeprefix("ir_datasets:"))


def test_current_folder_comes_first(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  own = tmp_path / "models" / "t5_1_1_tiny.gin"
  assert gin_files.find("models/t5_1_1_tiny.gin") != own
  own.parent.mkdir()
  own.write_text("")
  assert gin_files.find("models/t5_1_1_tiny.gin").resolve() == own


@pytest.mark.parametrize(
  "name", ["models/t5_1_1_tiny.gin", "gin_configs/models/t5_1_1_tiny.gin"]
)
def test_shipped_files_are_found_from_anywhere(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert gin_files.find(name).is_file()


def test_search_paths_come_before_shipped_files(tmp_path, monkeypatch):
  elsewhere = tmp_path / "elsewhere"
  (elsewhere / "models").mkdir(parents=True)
  (elsewhere / "models" / "t5_1_1_tiny.gin").write_text("")
  found = gin_files.find("models/t5_1_1_tiny.gin", [str(elsewhere)])
  assert found.is_relative_to(elsewhere)


def test_absolute_path(tmp_path):
  (tmp_path / "a.gin").write_text("")
  assert gin_files.find(str(tmp_path / "a.gin")) == tmp_path / "a.gin"


def test_missing_file_says_where_it_looked_and_what_is_near():
  with pytest.raises(ConfigError) as caught:
    gin_files.find("models/t5_1_1_tinny.gin", ["over/here"], said="--gin_file")
  message = str(caught.value)
  assert message.startswith("--gin_file: no gin file: 'models/")
  assert "over/here" in message and str(gin_files.shipped()) in message
  assert "models/t5_1_1_tiny.gin" in message
  assert "\n" not in message


@pytest.mark.parametrize(
  ("name", "why"), [("{}", "is a folder"), ("{}/none.gin", "does not exist")]
)
def test_absolute_path_that_is_no_file(name, why, tmp_path):
  with pytest.raises(ConfigError, match=f"{why}.*Shipped files are in"):
    gin_files.find(name.format(tmp_path))


def test_file_of_another_folder_is_near():
  with pytest.raises(ConfigError, match="Nearest: models/t5_1_1_tiny.gin"):
    gin_files.find("t5_1_1_tiny.gin")


def test_installed_package_keeps_the_files_inside(tmp_path, monkeypatch):
  (tmp_path / "gin_configs" / "runs").mkdir(parents=True)
  (tmp_path / "gin_configs" / "runs" / "x.gin").write_text("")
  monkeypatch.setattr(gin_files, "PACKAGE", tmp_path)
  assert gin_files.shipped() == tmp_path / "gin_configs"
  for name in ("runs/x.gin", "gin_configs/runs/x.gin"):
    assert gin_files.find(name) == pathlib.Path(
      tmp_path / "gin_configs" / "runs" / "x.gin"
    )
