import dataclasses

import pytest

from genret.models.sizes import SIZES
from genret.retrieval.memory import DocidShape
from genret.stages import plan_report
from genret.stages.plan_report import Plan, SearchPlan, StepPlan
from genret.training.fitting import Split, Step
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor
from genret.training.partitioning import MeshShape
from genret.training.virtual import Compiled

SPLIT = Split(num_devices=8, mesh=MeshShape())
SHARDED = Split(
  num_devices=16,
  mesh=MeshShape(model=4, fully_sharded=True),
  accumulate=2,
  remat="dots",
)
TRAINING = {"weights": 4_000, "optimizer state": 100, "gradients": 4_000}
SEARCHING = {"weights": 4_000, "docids": 50, "copy while loading": 4_000}


def plan(*, nearest=SPLIT, ways=1, compiled=None):
  step = Step(
    config=SIZES["tiny"],
    optimizer=Adafactor(),
    loss=Loss(),
    batch_size=32,
    input_length=64,
    target_length=4,
  )
  return Plan(
    parameters={"encoder": 1_000, "docid embedding": 0, "head": 2_000_000},
    docids=DocidShape(num_documents=1_234, length=8),
    capacity=9_000,
    step=StepPlan(
      split=SPLIT,
      step=step,
      bytes=TRAINING,
      flops=8_000_000,
      flops_again=0,
      nearest=nearest,
      nearest_bytes=nearest and TRAINING,
    ),
    search=SearchPlan(
      ways=1,
      batch_size=64,
      num_beams=40,
      input_length=64,
      bytes=SEARCHING,
      flops={"encoder": 3_000, "head": 4_000},
      nearest=ways,
      nearest_bytes=ways and SEARCHING,
    ),
    compiled=compiled,
  )


def test_what_fits_is_said_in_two_lines():
  assert plan().table().endswith("\n\ntraining fits\nretrieval fits")


def test_figures_have_units():
  lines = [" ".join(line.split()) for line in plan().table().splitlines()]
  assert "all 2,001,000 2 M" in lines
  assert "docid embedding" not in "".join(lines)
  assert "at most 8.1 kB a device fits" in lines
  assert "copy while loading 4 kB before searching" in lines
  assert "a device 1 MFLOP" in lines
  assert "FLOPs a query 7 kFLOP" in lines


def test_the_nearest_mesh_comes_with_its_flags():
  text = plan(nearest=SHARDED).table()
  assert (
    "the nearest that does: 16 devices = 4 data x 4 model, fully sharded, in 2"
    " parts, remat dots (8.1 kB a device)"
  ) in text
  assert (
    "\n  --devices=16 --model_parallel=4 --fully_sharded=True --accumulate=2"
    " --remat=dots\n"
  ) in text


def test_only_what_differs_is_a_flag():
  near = dataclasses.replace(SPLIT, accumulate=4)
  assert plan_report.flags(SPLIT, near) == ["--accumulate=4"]
  assert plan_report.flags(SPLIT, SPLIT) == []


def test_what_fits_nowhere_is_said():
  text = plan(nearest=None, ways=None).table()
  assert "training fits on no number of such devices" in text
  assert "--queries below 64" in text


@pytest.mark.parametrize(
  ("given", "said"), [(50, "as counted (50)"), (51, "and not as counted (50)")]
)
def test_what_the_compiler_says_is_compared(given, said):
  compiled = Compiled(
    sizes={"data": 4, "model": 2},
    arrays=9,
    split=5,
    given_bytes=given,
    counted_bytes=50,
    seconds=1.5,
  )
  text = plan(compiled=compiled).table()
  assert f"XLA gives each device {given} bytes" in text
  assert said in text


def test_figures_are_plain_values():
  figures = plan(nearest=SHARDED).figures()
  assert figures["training"]["nearest_that_fits"]["mesh"]["model"] == 4
  assert figures["training"]["bytes_per_device"]["peak"] == 8_100
  assert figures["retrieval"]["flops_per_query"]["all"] == 7_000
  assert figures["parameters"]["all"] == 2_001_000
