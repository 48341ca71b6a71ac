"""Plans of every size, of which nothing is allocated."""

import dataclasses
import functools
import json

import pytest

from genret.core.errors import ConfigError
from genret.models.encoder_config import EncoderConfig
from genret.models.sizes import SIZES, T5Config
from genret.retrieval.memory import DocidShape
from genret.stages import plan
from genret.stages.plan import Machine, PlanConfig
from genret.training.partitioning import MeshShape

MS_MARCO = 8_841_823
ATOMIC = DocidShape(num_documents=MS_MARCO, length=1)
TEXT = DocidShape(num_documents=MS_MARCO, length=8)


def config(size, docids, **changes):
  model = dataclasses.replace(SIZES[size], dtype="bfloat16", scan_layers=True)
  settings = {
    "model": model,
    "docids": docids,
    "machine": Machine(devices=8, device_memory=80.0),
    "task_feature_lengths": {"inputs": 128, "targets": docids.length},
    "batch_size": 512,
    "virtual": False,
  }
  return PlanConfig(**settings | changes)


@functools.cache
def planned(size):
  return plan.run(config(size, ATOMIC))


@pytest.mark.parametrize(
  "size",
  [
    size
    if size in ("tiny", "xxl")
    else pytest.param(size, marks=pytest.mark.slow)
    for size in SIZES
  ],
)
def test_every_size_has_a_plan_at_ms_marco(size):
  found = planned(size)
  assert found.parameters["head"] == SIZES[size].emb_dim * 8_841_856
  assert found.step.flops_again == 0
  assert found.step.nearest.num_devices == 8
  text = found.table()
  assert f"{sum(found.parameters.values()):,}" in text
  assert max(map(len, text.splitlines())) < 200


@pytest.mark.slow
def test_larger_models_need_more():
  found = [planned(size) for size in SIZES]
  for smaller, larger in zip(found, found[1:], strict=False):
    assert smaller.step.peak < larger.step.peak
    assert smaller.step.flops < larger.step.flops
    assert smaller.search.peak < larger.search.peak


def test_the_largest_does_not_fit_and_is_told_where_it_would():
  found = planned("xxl")
  assert found.step.peak > found.capacity
  assert found.step.nearest.mesh.fully_sharded
  text = found.table()
  assert "training does not fit; the nearest that does: 8 devices" in text
  assert "\n  --fully_sharded=True --remat=full\n" in text
  assert "retrieval does not fit; the nearest that does: 8 devices" in text


def test_one_device_of_base_with_docids_of_text(tmp_path):
  out = tmp_path / "plan.json"
  machine = Machine(devices=1, device_memory=16.0)
  found = plan.run(
    config("base", TEXT, machine=machine, batch_size=32), out=out
  )
  assert sum(found.parameters.values()) == 247_577_856
  assert found.step.nearest == found.step.split
  figures = json.loads(out.read_text())
  assert figures["training"]["fits"] and figures["retrieval"]["fits"]
  held = figures["training"]["bytes_per_device"]
  assert held["weights"] == held["gradients"] == 4 * 247_577_856
  assert figures["virtual_devices"] is None


def test_judging_needs_what_a_search_does_but_no_gradients():
  """Of plain data parallelism: an eighth of the head's rows, the decoder."""
  found = planned("xxl")
  judging = found.step.bytes["judging on dev queries"]
  counts, search = found.parameters, found.search.bytes
  searching = sum(search.values()) - search["weights"]
  searching -= search["copy while loading"]
  assert judging == (
    searching + 4 * counts["decoder"] + 4 * counts["head"] // 8
  )
  unjudged = plan.run(config("tiny", TEXT, evaluated=False)).step
  assert unjudged.bytes["judging on dev queries"] == 0


def test_a_head_that_is_not_divided_is_turned_whole():
  machine = Machine(devices=3)
  found = plan.run(
    config("tiny", TEXT, machine=machine, mesh=MeshShape(model=3))
  )
  head = found.parameters["head"]
  assert head % 3
  assert found.search.bytes["copy while loading"] == 4 * head


def test_what_is_made_again_is_told_apart():
  model = dataclasses.replace(SIZES["tiny"], remat="full", scan_layers=True)
  again = plan.run(config("tiny", TEXT, model=model)).step
  model = dataclasses.replace(model, remat="none")
  assert again.flops - again.flops_again == (
    plan.run(config("tiny", TEXT, model=model)).step.flops
  )
  assert again.flops_again > 0


def test_a_mesh_that_does_not_divide_the_batch_is_refused():
  machine = Machine(devices=7)
  with pytest.raises(ConfigError, match="512 rows cannot be taken"):
    plan.run(config("tiny", TEXT, machine=machine))


@pytest.mark.parametrize(
  "wrong", [{"devices": 0}, {"device_memory": 0.0}, {"reserve": 1.0}]
)
def test_a_machine_is_something(wrong):
  with pytest.raises(ConfigError, match="expected"):
    Machine(**wrong)


@pytest.mark.parametrize(
  ("wrong", "said"),
  [
    ({"accumulate": 0}, "taken in 0 parts"),
    ({"batch_size": 0}, "0 rows of 128 inputs"),
    ({"task_feature_lengths": {"inputs": 8}}, "has inputs; expected inputs"),
  ],
)
def test_settings_are_checked(wrong, said):
  with pytest.raises(ConfigError, match=said):
    plan.run(config("tiny", TEXT, **wrong))


def test_a_search_has_a_beam():
  with pytest.raises(ConfigError, match="0 beams"):
    plan.Searching(num_beams=0)


def test_a_sentence_encoder_is_refused():
  model = T5Config(emb_dim=384, encoder=EncoderConfig())
  with pytest.raises(ConfigError, match="T5's own encoder"):
    config("small", TEXT, model=model)
