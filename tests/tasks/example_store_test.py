import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from genret.core import artifacts, text
from genret.core.errors import ArtifactError, ConfigError
from genret.core.text import Tokenizer
from genret.tasks import example_store
from genret.tasks.indexing import DaQ, FirstP, Sentences
from genret.tasks.retrieval import LabelledQueries

ARRAYS = ("tokens", "offsets", "documents")


def stored(config, collection, cache_dir):
  return example_store.stored(
    config, collection, input_length=40, cache_dir=cache_dir
  )


@pytest.mark.parametrize(
  "config", [FirstP(rate=1.0), DaQ(rate=1.0), LabelledQueries(rate=1.0)]
)
def test_stored_examples_are_those_in_memory(config, squad, tmp_path):
  ours = stored(config, squad, tmp_path)
  theirs = config.examples(squad, Tokenizer(), input_length=40)
  for name in ARRAYS:
    a, b = getattr(ours, name), getattr(theirs, name)
    assert a.dtype == b.dtype and np.array_equal(a, b)
    assert isinstance(a.base, np.memmap)
  assert ours.num_truncated == theirs.num_truncated
  assert artifacts.verify(ours.folder).stage == "examples"


def test_they_are_made_once(small, tmp_path):
  first = stored(FirstP(rate=1.0), small, tmp_path)
  made = (first.folder / "tokens.uint16").stat().st_mtime_ns
  again = stored(
    FirstP(rate=3.0, token_dropout=(0.1, 0.2), name="other"), small, tmp_path
  )
  assert again.folder == first.folder
  assert (again.folder / "tokens.uint16").stat().st_mtime_ns == made
  another = stored(FirstP(rate=1.0, num_tokens=3), small, tmp_path)
  assert another.folder != first.folder


def test_a_task_without_examples_leaves_nothing(small, tmp_path):
  with pytest.raises(ConfigError, match="'sentences' finds no example"):
    stored(Sentences(rate=1.0, min_words=50), small, tmp_path)
  assert not any((tmp_path / "examples").iterdir())


def test_a_killed_run_starts_clean(small, tmp_path):
  code = f"""
import os, signal
from pathlib import Path
from genret.core.collection import Collection
from genret.tasks import example_store
from genret.tasks.indexing import FirstP

class Killed(FirstP):
  def inputs(self, rows):
    yield from list(super().inputs(rows))[:1]
    os.kill(os.getpid(), signal.SIGKILL)

Killed.__name__ = "FirstP"
example_store.stored(
  Killed(rate=1.0), Collection.open(Path({str(small.root)!r})),
  input_length=40, cache_dir=Path({str(tmp_path)!r}),
)
"""
  ended = subprocess.run([sys.executable, "-c", code], check=False)
  assert ended.returncode == -signal.SIGKILL
  [draft] = os.listdir(tmp_path / "examples")
  examples = stored(FirstP(rate=1.0), small, tmp_path)
  assert examples.num_examples == 3
  assert f".{examples.folder.name}.tmp-" in draft
  assert os.listdir(tmp_path / "examples") == [examples.folder.name]


def test_a_file_cut_short_is_found(small, tmp_path):
  folder = stored(FirstP(rate=1.0), small, tmp_path).folder
  size = (folder / "documents.int32").stat().st_size
  os.truncate(folder / "documents.int32", size - 1)
  with pytest.raises(ArtifactError, match=f"has {size - 1} bytes and {size}"):
    example_store.load(folder)


def test_the_summary_counts(small, tmp_path):
  folder = stored(FirstP(rate=1.0), small, tmp_path).folder
  summary = json.loads((folder / "summary.json").read_text())
  assert summary["num_examples"] == 3 and summary["num_truncated"] == 0
  assert summary["num_tokens"] * 2 == (folder / "tokens.uint16").stat().st_size


def test_another_vocabulary_has_a_folder_of_its_own(squad, tmp_path):
  config = LabelledQueries(rate=1.0)
  folders = set()
  for name in ("t5", "bert_uncased"):
    ours = example_store.stored(
      config, squad, input_length=40, cache_dir=tmp_path, vocabulary=name
    )
    opened = text.vocabulary(name)
    theirs = config.examples(squad, opened, input_length=40)
    assert np.array_equal(ours.tokens, theirs.tokens)
    assert ours.num_start == theirs.num_start == len(opened.start_ids)
    folders.add(ours.folder)
  assert len(folders) == 2
