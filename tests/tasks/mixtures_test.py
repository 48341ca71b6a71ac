import dataclasses

import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.core.text import Tokenizer
from genret.tasks import mixtures
from genret.tasks.host_tensorflow import seqio
from genret.tasks.indexing import D2Q, DaQ, FirstP, Sentences
from genret.tasks.retrieval import LabelledQueries

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
