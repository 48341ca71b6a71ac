import collections
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.tasks import feed, mixtures, sources
from genret.tasks.host_tensorflow import seqio
from genret.tasks.indexing import FirstP, Sentences
from genret.tasks.retrieval import LabelledQueries
from genret.tasks.seqio_feed import SeqioBatches
from genret.tasks.stream_feed import StreamBatches

LENGTHS = {"inputs": 64, "targets": 16}
TASKS = (
  LabelledQueries(rate=1.0),
  Sentences(rate=1.0, token_dropout=(0.3, 0.7)),
)

# Restores both kinds of batches in a process of its own. Those of seqio are
# of few examples, so that they are in a late epoch.
RESTART = """
import json, sys
import numpy as np
from genret.tasks import feed, mixtures
from genret.tasks.indexing import FirstP, Sentences
from genret.tasks.retrieval import LabelledQueries
from genret.tasks.seqio_feed import SeqioBatches

root, small, squad = sys.argv[1:]
few = mixtures.build(
  small,
  f"{root}/small_docids",
  tasks=[
    FirstP(rate=1.0, token_dropout=(0.0, 0.5)), LabelledQueries(rate=1.0)
  ],
)
many = mixtures.build(
  squad,
  f"{root}/squad_docids",
  tasks=[
    LabelledQueries(rate=1.0),
    Sentences(rate=1.0, token_dropout=(0.3, 0.7)),
  ],
  input_length=64,
)
options = {"lengths": {"inputs": 64, "targets": 16}, "batch_size": 16}
opened = {
  "stream": feed.training_batches(many, **options),
  "seqio": SeqioBatches(few, **options),
}
for name, batches in opened.items():
  with open(f"{root}/{name}.json") as file:
    batches.restore(json.load(file))
  for i in range(5):
    np.savez(f"{root}/{name}_{i}.npz", **next(batches))
"""


@pytest.fixture(scope="module")
def mixture(squad, squad_docids):
  return mixtures.build(squad, squad_docids, tasks=TASKS, input_length=64)


def open_batches(mixture, **settings):
  options = {"lengths": LENGTHS, "batch_size": 16} | settings
  return feed.training_batches(mixture, **options)


def segments(batch):
  """Takes packed rows apart into pairs of inputs and targets."""
  for i in range(len(batch["encoder_input_tokens"])):
    row = {name: values[i] for name, values in batch.items()}
    for segment in range(1, row["encoder_segment_ids"].max() + 1):
      encoder = row["encoder_segment_ids"] == segment
      decoder = row["decoder_segment_ids"] == segment
      yield (
        tuple(row["encoder_input_tokens"][encoder].tolist()),
        tuple(row["decoder_target_tokens"][decoder].tolist()),
      )


def equal(one, other):
  return one.keys() == other.keys() and all(
    np.array_equal(one[name], other[name]) for name in one
  )


def test_a_restart_in_another_process_is_exact(
  mixture, squad, squad_docids, small, small_docids, tmp_path
):
  squad_docids.save(tmp_path / "squad_docids")
  small_docids.save(tmp_path / "small_docids")
  dropped = FirstP(rate=1.0, token_dropout=(0.0, 0.5))
  few = mixtures.build(
    small, small_docids, tasks=[dropped, LabelledQueries(rate=1.0)]
  )
  opened = {
    "stream": open_batches(mixture),
    "seqio": SeqioBatches(few, lengths=LENGTHS, batch_size=16),
  }
  expected = {}
  for name, batches in opened.items():
    for _ in range(7):
      next(batches)
    state = json.dumps(batches.state())
    assert len(state) < 1 << 20
    (tmp_path / f"{name}.json").write_text(state)
    expected[name] = [next(batches) for _ in range(5)]
  done = subprocess.run(
    [sys.executable, "-c", RESTART, tmp_path, small.root, squad.root],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout + done.stderr == ""  # nothing of TensorFlow's chatter
  for name, batches in expected.items():
    for i, batch in enumerate(batches):
      with np.load(tmp_path / f"{name}_{i}.npz") as found:
        assert equal(dict(found), batch), (name, i)


@pytest.mark.parametrize("pack", [True, False])
def test_a_state_is_exact_at_any_batch(mixture, pack):
  batches = open_batches(mixture, pack=pack, batch_size=150)
  states, expected = [], []
  for _ in range(40):
    states.append(json.loads(json.dumps(batches.state())))
    expected.append(next(batches))
  assert len({state["chunk"] for state in states}) > 1
  for i in (0, 39, 3, 20):
    batches.restore(states[i])
    assert batches.state() == states[i]
    assert equal(next(batches), expected[i])


def test_a_state_of_other_batches_is_refused(mixture):
  state = open_batches(mixture).state()
  with pytest.raises(ConfigError, match="seed was 0 there and is 1 here"):
    open_batches(mixture, seed=1).restore(state)
  with pytest.raises(ConfigError, match="num_shards was 1 there"):
    shard = seqio.ShardInfo(0, 2)
    open_batches(mixture, shard=shard).restore(state)


def test_the_seed_decides_and_batches_differ(mixture):
  one, same, other = (open_batches(mixture, seed=seed) for seed in (0, 0, 1))
  first = next(one)
  assert equal(next(same), first)
  assert not equal(next(other), first)
  assert not equal(next(one), first)


def test_packed_batches_hold_the_examples_of_the_stream(squad, squad_docids):
  """Without dropout an epoch of a task is exactly its examples."""
  tasks = [LabelledQueries(rate=1.0)]
  mixture = mixtures.build(squad, squad_docids, tasks=tasks, input_length=64)
  packed = open_batches(mixture)
  plain = open_batches(mixture, pack=False, batch_size=4096)
  expected = collections.Counter()
  one = next(plain)
  for inputs, targets in zip(
    one["encoder_input_tokens"], one["decoder_target_tokens"], strict=True
  ):
    expected[tuple(inputs[inputs > 0]), tuple(targets[targets > 0])] += 1
  found = collections.Counter()
  while packed.state()["chunk"] == 0:
    before = packed.state()["row"]
    batch = next(packed)
    rows = 16 if packed.state()["chunk"] == 0 else 16 - packed.state()["row"]
    assert rows == 16 or packed.state()["row"] < before
    found.update(segments({k: v[:rows] for k, v in batch.items()}))
  assert found == expected


def test_rows_are_nearly_full(mixture):
  batches = open_batches(mixture, lengths={"inputs": 128, "targets": 64})
  rows = [next(batches)["encoder_input_tokens"] for _ in range(30)]
  assert np.mean([(r > 0).mean() for r in rows]) > 0.97


def test_num_examples_counts_packed_and_plain(mixture):
  batch = next(open_batches(mixture))
  assert feed.num_examples(batch) == len(list(segments(batch)))
  assert feed.num_examples(next(open_batches(mixture, pack=False))) == 16


def test_a_name_does_as_well(mixture):
  assert isinstance(open_batches(mixture.name), StreamBatches)
  with pytest.raises(ConfigError, match=f"Did you mean '{mixture.name}'"):
    open_batches(mixture.name + "x")


def test_tasks_registered_at_two_times_mix(squad, squad_docids, tmp_path):
  """Equal tables of two objects are one table."""
  squad_docids.save(tmp_path / "docids")
  one = LabelledQueries(rate=1.0, name="early")
  mixtures.build(squad, squad_docids, tasks=[one])
  both = mixtures.build(
    squad,
    tmp_path / "docids",
    tasks=[one, LabelledQueries(rate=1.0, name="late")],
  )
  batches = open_batches(both, lengths={"inputs": 128, "targets": 16})
  assert isinstance(batches, StreamBatches)


@pytest.mark.parametrize(
  ("lengths", "message"),
  [
    ({"inputs": 64}, "inputs and targets are needed"),
    ({"inputs": 64, "target": 8}, "Did you mean 'targets'"),
    ({"inputs": 64, "targets": 3}, "Docids of 4 symbols do not fit"),
    ({"inputs": 63, "targets": 8}, "'sentences' has inputs of up to 64 ids"),
  ],
)
def test_rows_that_are_too_short_are_refused(mixture, lengths, message):
  with pytest.raises(ConfigError, match=message):
    open_batches(mixture, lengths=lengths)


@pytest.mark.parametrize("pack", [True, False])
def test_validation_reads_each_example_once(squad, squad_docids, pack):
  mixture = mixtures.build(
    squad,
    squad_docids,
    tasks=[LabelledQueries(rate=1.0, split="dev")],
    input_length=64,
  )
  batches = list(
    feed.validation_batches(mixture, lengths=LENGTHS, batch_size=50, pack=pack)
  )
  assert all(len(b["encoder_input_tokens"]) == 50 for b in batches)
  assert sum(map(feed.num_examples, batches)) == 521
  if pack:
    found = collections.Counter(e for b in batches for e in segments(b))
    examples = mixture.tasks[0].source.examples
    assert found == collections.Counter(
      (
        tuple(examples[i].tolist()),
        tuple(squad_docids.codes[examples.documents[i]].tolist()),
      )
      for i in range(521)
    )


def test_a_task_of_the_user_s_own_is_read_by_seqio(small, small_docids):
  """Any seqio task trains; only genret's own take the short way."""
  ours = mixtures.build(small, small_docids, tasks=[FirstP(rate=1.0)])
  task = seqio.Task(
    "users_own",
    source=seqio.FunctionDataSource(
      lambda split, shuffle_files, seed=None: ours.get_dataset(
        split=split, shuffle=False, num_epochs=1
      ),
      splits=["train"],
    ),
    output_features=ours.output_features,
    preprocessors=[],
  )
  batches = feed.training_batches(
    task, lengths={"inputs": 32, "targets": 8}, batch_size=2, pack=False
  )
  assert isinstance(batches, SeqioBatches)
  assert next(batches)["encoder_input_tokens"].shape == (2, 32)
  with pytest.raises(ConfigError, match="not at all"):
    batches.restore({"identity": {}, "chunk": 0, "drawn": [0], "row": 0})
  with pytest.raises(ConfigError, match="not a mixture of genret"):
    next(feed.validation_batches(task, lengths=LENGTHS, batch_size=2))


def test_batches_with_states_of_all_tasks(small, small_docids):
  mixture = mixtures.build(
    small,
    small_docids,
    tasks=[
      FirstP(rate=1.0, token_dropout=(0.2, 0.6)),
      LabelledQueries(rate=3.0),
    ],
    input_length=16,
  )
  examples = feed.examples_of(mixture.name)
  assert set(examples) == {task.name for task in mixture.tasks}

  def states():
    return {
      name: dataclasses.replace(one, states=one.tokens[:, None] / 64)
      for name, one in examples.items()
    }

  options = {"lengths": {"inputs": 32, "targets": 12}, "batch_size": 4}
  ours = feed.training_batches(mixture, **options, states=states)
  plain = feed.training_batches(mixture, **options)
  for _ in range(20):
    batch = next(ours)
    found = batch.pop("encoder_states")[..., 0]
    expected = (batch["encoder_input_tokens"] / 64).astype(np.float16)
    assert (found == expected).all()
    theirs = next(plain)
    assert batch.keys() == theirs.keys()
    assert all((batch[name] == theirs[name]).all() for name in batch)
  ours.restore(plain.state())
  next(ours)


def test_states_need_examples_that_are_there_beforehand(small, small_docids):
  streaming = seqio.Task(
    "feed_test_streaming",
    source=seqio.FunctionDataSource(
      lambda split, shuffle_files: None, splits=["train"]
    ),
    output_features=sources.features(small_docids),
    preprocessors=[],
  )
  with pytest.raises(ConfigError, match="no end of texts to encode once"):
    feed.training_batches(
      streaming,
      lengths={"inputs": 8, "targets": 4},
      batch_size=2,
      states=dict,
    )
