"""What t5x itself has written: see tools/make_t5x_golden.py."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from genret.core import artifacts
from genret.core.collection import FORMAT_VERSION, Document, Query, write
from genret.core.docid_table import DocidTable

GOLDEN = Path(__file__).parents[1] / "data" / "t5x_golden.tar.xz"


@pytest.fixture(scope="session")
def t5x_golden(tmp_path_factory):
  folder = tmp_path_factory.mktemp("t5x")
  with tarfile.open(GOLDEN) as file:
    file.extractall(folder, filter="data")
  return folder


@pytest.fixture(scope="session")
def t5x_values(t5x_golden):
  return dict(np.load(t5x_golden / "values.npz"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
  """Returns the folders of a collection of ten pages and of its docids."""
  words = "stone river lamp north copper glass bread storm violin desert"
  words = words.split()
  folder = tmp_path_factory.mktemp("tiny")
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "tiny"},
    format_version=FORMAT_VERSION,
  )
  with artifacts.building(folder / "collection", recipe) as draft:
    write(
      draft,
      documents=[
        Document(docno=f"d{i}", title=word, text=f"a page about {word}")
        for i, word in enumerate(words)
      ],
      queries=[
        Query(query_id=f"q{i}", text=f"what is {word}")
        for i, word in enumerate(words)
      ],
      qrels={
        "train": {f"q{i}": {f"d{i}": 1} for i in range(8)},
        "test": {"q8": {"d8": 1}, "q9": {"d9": 1, "d1": 1}},
        "none": {},
      },
    )
  docids = [
    [2 + i // 4, 2 + i % 4, *((1, 0) if i % 2 else (5, 1))] for i in range(10)
  ]
  DocidTable(
    codes=np.array(docids, np.uint16),
    docnos=[f"d{i}" for i in range(10)],
    vocab_size=8,
    scheme="hand",
  ).save(folder / "docids")
  return str(folder / "collection"), str(folder / "docids")
