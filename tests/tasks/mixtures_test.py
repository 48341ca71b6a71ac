import dataclasses

import numpy as np
import pytest

from genret.core import text
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.core.text import Tokenizer
from genret.tasks import feed, mixtures
from genret.tasks.host_tensorflow import seqio
from genret.tasks.indexing import D2Q, DaQ, FirstP, Sentences
from genret.tasks.retrieval import LabelledQueries
from genret.tasks.seqio_feed import SeqioBatches

TASKS = (FirstP(rate=1.0), LabelledQueries(rate=3.0))


def test_a_mixture_is_seqio_s_own(small, small_docids):
  mixture = mixtures.build(small, small_docids, tasks=TASKS)
  assert isinstance(mixture, seqio.Mixture)
  assert seqio.get_mixture_or_task(mixture.name) is mixture
  rates = {t.source.config.name: mixture.get_rate(t) for t in mixture.tasks}
  assert rates == {"firstp": 1.0, "labelled": 3.0}
  assert mixture.num_input_examples("train") == 6
  found = mixture.get_dataset(split="train", shuffle=False, num_epochs=1)
  first = next(iter(found))
  assert set(first) == {"inputs", "targets"}


def test_rates_of_none_are_numbers_of_examples(small, small_docids):
  tasks = (FirstP(rate=None), LabelledQueries(rate=None))
  mixture = mixtures.build(small, small_docids, tasks=tasks)
  rates = {t.source.config.name: mixture.get_rate(t) for t in mixture.tasks}
  counts = {
    t.source.config.name: t.source.examples.num_examples for t in mixture.tasks
  }
  assert rates == counts
  with pytest.raises(ConfigError, match="all None for numbers"):
    mixtures.build(small, small_docids, tasks=(tasks[0], TASKS[1]))


def test_the_same_call_registers_nothing_new(small, small_docids):
  mixture = mixtures.build(small, small_docids, tasks=TASKS)
  known = (set(seqio.TaskRegistry.names()), set(seqio.MixtureRegistry.names()))
  copy = dataclasses.replace(small_docids, codes=small_docids.codes.copy())
  assert mixtures.build(small, copy, tasks=TASKS[::-1]) is mixture
  after = (set(seqio.TaskRegistry.names()), set(seqio.MixtureRegistry.names()))
  assert after == known


def test_another_content_has_another_name(small, small_docids):
  def name(table=small_docids, tasks=TASKS, **settings):
    return mixtures.build(small, table, tasks=tasks, **settings).name

  other = dataclasses.replace(small_docids, codes=small_docids.codes[[1, 0, 2]])
  names = [
    name(),
    name(other),
    name(input_length=16),
    name(tasks=[FirstP(rate=2.0), LabelledQueries(rate=3.0)]),
    name(tasks=[FirstP(rate=1.0, num_tokens=2), LabelledQueries(rate=3.0)]),
    name(
      tasks=[
        FirstP(rate=1.0, token_dropout=(0.0, 0.5)),
        LabelledQueries(rate=3.0),
      ]
    ),
  ]
  assert len(set(names)) == len(names)


def test_folders_do_as_well_as_objects(small, small_docids, tmp_path):
  small_docids.save(tmp_path / "docids")
  from_folders = mixtures.build(
    str(small.root), tmp_path / "docids", tasks=TASKS
  )
  assert from_folders is mixtures.build(small, small_docids, tasks=TASKS)


def test_every_kind_of_task_on_a_real_collection(squad, squad_docids, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text("".join(f"{docno}\twhat\n" for docno in squad.docnos[:9]))
  mixture = mixtures.build(
    squad,
    squad_docids,
    tasks=[
      FirstP(rate=1.0),
      DaQ(rate=1.0, num_spans=2),
      Sentences(rate=1.0, min_words=10),
      D2Q(rate=1.0, path=str(path)),
      LabelledQueries(rate=4.0),
    ],
    input_length=64,
  )
  header, *lines = mixtures.describe(mixture).splitlines()
  assert header.split() == [
    "task",
    "share",
    "examples",
    "covered",
    "ids",
    "cut",
  ]
  table = {line.split()[0]: line.split()[1:] for line in lines}
  assert table["labelled"][:3] == ["50.0%", "7,488", "99.0%"]
  assert table["daq"][:3] == ["12.5%", "4,134", "100.0%"]
  assert table["d2q"][1:3] == ["9", "0.4%"]
  assert int(table["sentences"][-1].replace(",", "")) > 0
  # 64 tokens and EOS do not fit 64 ids, so long passages lose one.
  contents = [document.contents for document in squad.documents()]
  ids = Tokenizer().encode(contents, max_length=65)
  cut = sum(len(row) > 64 for row in ids)
  assert table["firstp"][-1] == f"{cut:,}"


@pytest.mark.parametrize(
  ("tasks", "message"),
  [
    ([], "at least one task"),
    ([LabelledQueries], "such as FirstP"),
    ([FirstP(rate=1.0), FirstP(rate=2.0, num_tokens=9)], "named 'firstp'"),
    ([FirstP(rate=1.0, name="a b")], "letters, digits"),
    (
      [FirstP(rate=1.0), LabelledQueries(rate=1.0, split="dev")],
      "firstp: train, labelled: dev",
    ),
  ],
)
def test_tasks_that_do_not_go_together(small, small_docids, tasks, message):
  with pytest.raises(ConfigError, match=message):
    mixtures.build(small, small_docids, tasks=tasks)


def test_an_input_has_room_for_a_token(small, small_docids):
  with pytest.raises(ConfigError, match="input_length"):
    mixtures.build(small, small_docids, tasks=TASKS, input_length=1)


@pytest.mark.parametrize(
  ("docnos", "message"),
  [
    (["a", "c", "b"], "Document 1 of collection 'small' is 'b'; .* 'c'"),
    (["a", "b"], "has 3 documents and the docids 2"),
  ],
)
def test_docids_of_another_collection(small, docnos, message):
  table = DocidTable(
    codes=np.arange(2, 2 + len(docnos))[:, None],
    docnos=docnos,
    vocab_size=9,
    scheme="example",
  )
  with pytest.raises(ArtifactError, match=message):
    mixtures.build(small, table, tasks=TASKS)


def forget(mixture):
  """Makes seqio forget a mixture, so that it can be built in another way."""
  seqio.MixtureRegistry.remove(mixture.name)
  for task in mixture.tasks:
    seqio.TaskRegistry.remove(task.name)


def test_a_cache_changes_no_bit(squad, squad_docids, tmp_path):
  tasks = [
    DaQ(rate=1.0, num_spans=2, token_dropout=(0.1, 0.4)),
    LabelledQueries(rate=2.0, name="cached_or_not"),
  ]
  options = {"lengths": {"inputs": 64, "targets": 16}, "batch_size": 8}

  def read(cache_dir):
    mixture = mixtures.build(
      squad, squad_docids, tasks=tasks, input_length=24, cache_dir=cache_dir
    )
    mapped = [t.source.examples.folder is not None for t in mixture.tasks]
    assert mapped == [cache_dir is not None] * 2
    stream = feed.training_batches(mixture, seed=3, **options)
    batches = [next(stream) for _ in range(3)]
    batches.append(next(feed.validation_batches(mixture, **options)))
    through_seqio = mixture.get_dataset(split="train", seed=5).take(600)
    batches += list(through_seqio.as_numpy_iterator())
    forget(mixture)
    return batches, mixtures.describe(mixture)

  cache_dir = str(tmp_path / "cache")
  expected, description = read(None)
  for _ in range(2):  # made, then found
    batches, described = read(cache_dir)
    assert described == description
    for ours, theirs in zip(batches, expected, strict=True):
      assert ours.keys() == theirs.keys()
      for name in ours:
        assert ours[name].dtype == theirs[name].dtype
        assert np.array_equal(ours[name], theirs[name])
  assert len(list((tmp_path / "cache" / "examples").iterdir())) == 2


def test_a_task_that_is_known_moves_into_a_cache(small, small_docids, tmp_path):
  def build(cache_dir):
    tasks = [FirstP(rate=1.0, name="moved")]
    mixture = mixtures.build(
      small, small_docids, tasks=tasks, cache_dir=cache_dir
    )
    return mixture.tasks[0].source.examples.folder

  assert build(None) is None
  for name in ("one", "two"):
    assert build(str(tmp_path / name)).parent.parent == tmp_path / name
  assert build(None).parent.parent == tmp_path / "two"


def test_seqio_goes_on_in_a_cache_where_it_was(small, small_docids, tmp_path):
  mixture = mixtures.build(
    small,
    small_docids,
    tasks=[FirstP(rate=1.0, name="mapped_restart")],
    cache_dir=str(tmp_path),
  )
  options = {"lengths": {"inputs": 16, "targets": 4}, "batch_size": 2}
  batches = SeqioBatches(mixture, **options)
  next(batches)
  state = batches.state()
  expected = [next(batches) for _ in range(4)]
  batches = SeqioBatches(mixture, **options)
  batches.restore(state)
  for theirs in expected:
    ours = next(batches)
    for name in theirs:
      assert np.array_equal(ours[name], theirs[name])


def test_t5_s_mixtures_keep_their_names(small, small_docids):
  # Of the first version of this format: state and caches are found by them.
  dropping = DaQ(rate=1.0, num_spans=9, span_length=4, token_dropout=(0.3, 0.6))
  tasks = [FirstP(rate=1.0), dropping, LabelledQueries(rate=1.0)]
  mixture = mixtures.build(small, small_docids, tasks=tasks)
  assert mixture.name == "genret_mixture_839e7353d74769bf"
  again = mixtures.build(small, small_docids, tasks=tasks, vocabulary="t5")
  assert again is mixture


@pytest.fixture
def in_wordpieces(small, small_docids):
  tasks = [
    DaQ(rate=1.0, num_spans=4, span_length=3, token_dropout=(0.5, 0.5)),
    LabelledQueries(rate=1.0),
  ]
  return mixtures.build(
    small, small_docids, tasks=tasks, vocabulary="bert_uncased"
  )


def test_inputs_are_in_the_vocabulary_asked_for(
  small, small_docids, in_wordpieces
):
  wordpiece = text.vocabulary("bert_uncased")
  [labelled] = (
    task
    for task in in_wordpieces.tasks
    if task.source.config.name == "labelled"
  )
  examples = labelled.source.examples
  asked = ["what is tall", "what spans the river", "what spans the river"]
  expected = wordpiece.encode(asked, max_length=128)
  assert [examples[i].tolist() for i in range(3)] == expected
  in_t5 = mixtures.build(small, small_docids, tasks=[LabelledQueries(rate=1.0)])
  assert labelled.name not in {task.name for task in in_t5.tasks}
  assert "bert_uncased" in mixtures.describe(in_wordpieces)
  assert "bert" not in mixtures.describe(in_t5)


def test_batches_of_another_vocabulary_keep_their_markers(in_wordpieces):
  lengths = {"inputs": 24, "targets": 12}
  ours = feed.training_batches(in_wordpieces, lengths=lengths, batch_size=4)
  theirs = SeqioBatches(
    in_wordpieces,
    lengths=lengths,
    batch_size=4,
    pack=True,
    seed=0,
    shard=None,
  )
  for batches in (ours, theirs):
    batch = next(batches)
    tokens = batch["encoder_input_tokens"]
    segments = batch["encoder_segment_ids"]
    first = (segments > 0) & (batch["encoder_positions"] == 0)
    assert first.sum() > 8 and (tokens[first] == 101).all()
    last = (segments > 0) & (np.diff(segments, axis=1, append=0) != 0)
    assert last.sum() == first.sum() and (tokens[last] == 102).all()
    assert ((tokens == 101) == first).all() and ((tokens == 102) == last).all()


def test_seqio_sees_the_same_examples(in_wordpieces):
  [task] = (
    t for t in in_wordpieces.tasks if t.source.config.name == "labelled"
  )
  found = task.get_dataset(None, split="train", shuffle=False)
  rows = [e["inputs"].tolist() for e in found.as_numpy_iterator()]
  examples = task.source.examples
  assert rows == [examples[i].tolist() for i in range(len(rows))]
  inputs = task.output_features["inputs"].vocabulary
  assert (inputs.vocab_size, inputs.eos_id) == (30_522, 102)


def test_the_vocabulary_of_a_mixture_is_checked(
  small, small_docids, in_wordpieces
):
  in_t5 = mixtures.build(small, small_docids, tasks=TASKS)
  for mixture, name, other in [
    (in_t5, "t5", "bert_uncased"),
    (in_wordpieces, "bert_uncased", "t5"),
    (in_t5.tasks[0].name, "t5", "bert_uncased"),
  ]:
    mixtures.check_vocabulary(mixture, name)
    with pytest.raises(ConfigError, match=f"reads the vocabulary '{other}'"):
      mixtures.check_vocabulary(mixture, other)
  mixtures.check_vocabulary("nothing of this name", "t5")


def test_a_mixture_of_unknown_vocabulary_is_t5_s_own_affair():
  def nothing(split, shuffle_files):
    raise AssertionError((split, shuffle_files))

  bytes_task = seqio.Task(
    "mixtures_test_bytes",
    source=seqio.FunctionDataSource(nothing, splits=["train"]),
    output_features={"inputs": seqio.Feature(seqio.ByteVocabulary())},
    preprocessors=[],
  )
  mixtures.check_vocabulary(bytes_task, "t5")
  with pytest.raises(ConfigError, match="not known to be"):
    mixtures.check_vocabulary(bytes_task, "bert_uncased")


def test_a_vocabulary_that_is_not_there_is_named(small, small_docids):
  with pytest.raises(ConfigError, match="Did you mean 'bert_uncased'"):
    mixtures.build(small, small_docids, tasks=TASKS, vocabulary="bert_uncasd")
