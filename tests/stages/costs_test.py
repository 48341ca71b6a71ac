"""Costs of a model of random weights, which are those of any other."""

import json

import pytest

from genret.core.errors import ArtifactError, UserError
from genret.models.query_flops import query_flops
from genret.retrieval.model_folder import ModelSpec
from genret.stages import costs
from genret.stages.costs import CostsConfig
from genret.stages.latency import Timing

pytestmark = pytest.mark.usefixtures("compile_once")
TIMING = Timing(queries=2, batch_size=8, rounds=1)


@pytest.fixture(scope="module")
def folder(untrained):
  return untrained("atomic")


@pytest.fixture(scope="module")
def found(folder, collection, tmp_path_factory):
  out = tmp_path_factory.mktemp("costs") / "costs.json"
  config = CostsConfig(timing=TIMING, devices=4, compiled=False)
  made = costs.run(config, folder, collection, out=out)
  assert json.loads(out.read_text()) == made.figures
  return made


def test_operations_are_counted_from_the_program(found, folder):
  spec = ModelSpec.load(folder)
  query = found.figures["operations"]["query"]
  parts = query_flops(spec.model, input_length=16, num_beams=10)
  assert found.figures["flops"]["query"] == query["counted"]
  assert query["by_part"] == parts
  assert query["counted"] == sum(parts.values())
  step = found.figures["operations"]["step"]
  assert query["compiled"] is step["compiled"] is None
  assert found.figures["flops"]["training"] == 3 * step["counted"]


@pytest.mark.slow
def test_what_is_compiled_adds_little_to_the_products(folder, collection):
  config = CostsConfig(timing=None)
  operations = costs.run(config, folder, collection).figures["operations"]
  for found in operations.values():
    assert 0.9 * found["counted"] < found["compiled"] < 3 * found["counted"]


def test_bytes_are_those_on_disk(found, folder):
  sizes = found.figures["bytes"]
  assert sizes["weights"] == 4 * found.figures["parameters"]["all"]
  trie = [path.stat().st_size for path in (folder / "trie").iterdir()]
  assert sizes["trie"] == sum(trie) < sizes["index"]


def test_training_took_device_hours(found):
  training = found.figures["training"]
  assert training["devices"] == 4 and training["steps"] == 3
  assert training["wall_seconds"] >= 60
  hours = training["wall_seconds"] * 4 / 3600
  assert training["device_hours"] == hours
  assert training["loop_cpu_seconds"] is None  # there was no loop


def test_people_read_a_table(found):
  text = found.table()
  assert f"{found.figures['parameters']['all']:,}" in text
  assert "one query, p95" in text and "device-hours" in text
  assert max(map(len, text.splitlines())) <= 80


def test_nothing_is_timed_unless_wanted(folder, collection):
  config = CostsConfig(timing=None, compiled=False)
  made = costs.run(config, folder, collection)
  assert made.figures["latency"] is None
  assert (folder / "costs.json").exists()
  assert "one query" not in made.table()


def test_a_split_without_queries_is_refused(folder, collection):
  with pytest.raises(UserError):
    costs.run(CostsConfig(split="tset"), folder, collection)


def test_a_folder_that_is_no_model_is_refused(tmp_path, collection):
  with pytest.raises(ArtifactError, match="no model folder"):
    costs.run(CostsConfig(), tmp_path, collection)
