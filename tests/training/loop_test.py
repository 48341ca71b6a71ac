"""The loop against steps by hand, through an interruption and divergence."""

import dataclasses
import json
import types

import jax
import numpy as np
import optax
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import (
  EventAccumulator,
)

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.tasks.examples import Examples
from genret.tasks.packing import RowLengths
from genret.tasks.stream import Ingredient, Stream
from genret.tasks.stream_feed import StreamBatches
from genret.training.checkpoints import Checkpoints
from genret.training.loop import DivergedError, Loop, LoopConfig
from genret.training.losses import Loss

pytestmark = pytest.mark.usefixtures("compile_once")
STEPS = 6
CONFIG = LoopConfig(
  train_steps=STEPS, eval_every=3, checkpoint_every=2, log_every=2
)


class Interruption(Exception):
  """Stands for a kill in the middle of a run."""


@pytest.fixture(scope="module")
def program(program):
  """With an optimizer that has a state to restore and is soon compiled."""
  return dataclasses.replace(program, optimizer=optax.sgd(0.1, momentum=0.9))


def make_feed() -> StreamBatches:
  """Batches of 4 packed rows, for the T5 of conftest."""
  rng = np.random.default_rng(0)
  table = DocidTable(
    codes=rng.permutation(1000)[:20, None] // [100, 10, 1] % 10 + 2,
    docnos=[f"d{i}" for i in range(20)],
    vocab_size=12,
    scheme="example",
  )
  rows = [(i, rng.integers(3, 64, 3).tolist()) for i in range(20)]
  examples = Examples.collect(rows, input_length=4)
  return StreamBatches(
    Stream([Ingredient(examples=examples)], seed=0),
    table=table,
    lengths=RowLengths(inputs=8, targets=6),
    batch_size=4,
    pack=True,
    identity={},
  )


def make_loop(program, folder, *, config=CONFIG, evaluate=None) -> Loop:
  return Loop(
    program=program,
    feed=make_feed(),
    checkpoints=Checkpoints(folder / "checkpoints", measure="RR@10"),
    config=config,
    evaluate=evaluate or (lambda params, step: {"RR@10": 1.0 / step}),
    folder=folder,
  )


def assert_same(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)


def read_events(folder) -> dict[str, dict[int, float]]:
  """Returns tag -> step -> value."""
  events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
  events.Reload()
  return {
    tag: {
      event.step: float(tf.make_ndarray(event.tensor_proto))
      for event in events.Tensors(tag)
    }
    for tag in events.Tags()["tensors"]
  }


@pytest.fixture(scope="module")
def whole(program, tmp_path_factory):
  """An uninterrupted run: its folder, last state and evaluations."""
  folder = tmp_path_factory.mktemp("loop")
  evaluated = []

  def evaluate(params, step):
    evaluated.append((step, jax.device_get(params)))
    return {"RR@10": 1.0 / step}

  loop = make_loop(program, folder, evaluate=evaluate)
  state = jax.device_get(loop.run())
  return types.SimpleNamespace(folder=folder, state=state, evaluated=evaluated)


@pytest.fixture(scope="module")
def by_hand(program):
  """The state and the loss after each step, without a loop."""
  state, feed = program.init_state(), make_feed()
  step_fn = program.compile_step(state)
  steps = {}
  for step in range(1, STEPS + 1):
    state, metrics = step_fn(state, jax.device_put(next(feed)))
    steps[step] = jax.device_get((state, metrics))
  return steps


def test_what_is_evaluated_and_saved():
  config = LoopConfig(train_steps=10, eval_every=4, checkpoint_every=3)
  steps = range(1, 11)
  assert [s for s in steps if config.evaluates(s)] == [4, 8, 10]
  assert [s for s in steps if config.saves(s)] == [3, 4, 6, 8, 9, 10]
  plain = LoopConfig(train_steps=10, eval_every=4)
  assert [s for s in steps if plain.saves(s)] == [4, 8, 10]
  short = LoopConfig(train_steps=2)
  assert [s for s in (1, 2) if short.evaluates(s)] == [2]


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(
  "name", ["train_steps", "eval_every", "checkpoint_every", "log_every"]
)
def test_intervals_count_from_one(name, value):
  settings = {"train_steps": 10} | {name: value}
  with pytest.raises(ConfigError, match=f"{name} is {value}; expected 1"):
    LoopConfig(**settings)


def test_a_loop_equals_steps_by_hand(whole, by_hand):
  assert_same(whole.state, by_hand[STEPS][0])


def test_the_states_evaluated_are_those_of_their_steps(whole, by_hand):
  assert [step for step, _ in whole.evaluated] == [3, 6]
  for step, params in whole.evaluated:
    assert_same(params, by_hand[step][0].params)


def test_the_newest_two_and_the_best_are_kept(whole):
  checkpoints = Checkpoints(
    whole.folder / "checkpoints", measure="RR@10", read_only=True
  )
  assert checkpoints.steps == (3, 4, 6)
  assert checkpoints.best == 3
  assert_same(checkpoints.restore_params(6), whole.state.params)


def test_the_event_file_has_means_of_what_steps_said(whole, by_hand):
  """Entries at 2, 4 and 6, and at 3, where a state was saved."""
  events = read_events(whole.folder)
  spans = {2: (1, 2), 3: (3,), 4: (4,), 6: (5, 6)}
  for name in ("loss", "cross_entropy", "accuracy", "grad_norm", "examples"):
    expected = {
      last: np.mean([getattr(by_hand[step][1], name) for step in span])
      for last, span in spans.items()
    }
    assert events[name] == pytest.approx(expected, rel=1e-6)
  assert events["examples"][6] == 8  # two in each of four rows
  assert events["examples_per_second"].keys() == spans.keys()
  assert min(events["examples_per_second"].values()) > 0
  assert events["dev/RR@10"] == pytest.approx({3: 1 / 3, 6: 1 / 6})


def test_process_time_is_counted(whole):
  found = read_events(whole.folder)["cpu_seconds"]
  assert list(found) == [2, 3, 4, 6]
  times = list(found.values())
  assert 0 < times[0] and times == sorted(times)
  noted = json.loads((whole.folder / "cpu_seconds.json").read_text())
  assert list(noted) == ["2", "3", "4", "6"]
  # A checkpoint comes after its step was logged, and before the next.
  assert found[3] < noted["3"] < found[4] < noted["4"] < found[6] < noted["6"]


def test_process_time_goes_on_from_the_checkpoint(program, tmp_path):
  def interrupted(params, step):
    raise Interruption

  first = make_loop(program, tmp_path, evaluate=interrupted)
  with pytest.raises(Interruption):
    first.run()
  first.checkpoints.close()
  (tmp_path / "cpu_seconds.json").write_text('{"2": 1000.0}')
  make_loop(program, tmp_path).run()
  found = read_events(tmp_path)["cpu_seconds"]
  assert 1000 < found[4] < found[6] < 1100
  noted = json.loads((tmp_path / "cpu_seconds.json").read_text())
  assert noted["2"] == 1000 and noted["6"] > noted["4"] > 1000


def test_an_interrupted_run_ends_with_the_same_bits(program, whole, tmp_path):
  def interrupted(params, step):
    raise Interruption

  first = make_loop(program, tmp_path, evaluate=interrupted)
  with pytest.raises(Interruption):
    first.run()  # in the evaluation of step 3
  first.checkpoints.close()
  second = make_loop(program, tmp_path)
  assert second.checkpoints.steps == (2,)
  assert_same(jax.device_get(second.run()), whole.state)
  events = read_events(tmp_path)
  assert events["loss"] == pytest.approx(
    read_events(whole.folder)["loss"], rel=0
  )


def test_a_run_that_is_over_takes_no_step(program, whole):
  def never(params, step):
    raise AssertionError

  before = sorted(whole.folder.iterdir())
  loop = make_loop(program, whole.folder, evaluate=never)
  assert_same(jax.device_get(loop.run()), whole.state)
  assert sorted(whole.folder.iterdir()) == before


def test_a_gradient_without_bounds_leaves_no_checkpoint(program, tmp_path):
  """The loss is finite at the step that spoils the parameters."""
  spoilt = dataclasses.replace(program, loss=Loss(z_loss=1e35))
  config = dataclasses.replace(CONFIG, eval_every=1)
  loop = make_loop(spoilt, tmp_path, config=config)
  with pytest.raises(
    DivergedError, match="gradient.* inf at step 1; .*: none was saved yet"
  ):
    loop.run()
  assert loop.checkpoints.newest is None
