import collections
import dataclasses

import numpy as np
import pytest

from genret.core import artifacts, rungs
from genret.core.collection import Collection
from genret.core.errors import ConfigError, DataError
from genret.core.provenance import canonical
from genret.core.text import Tokenizer
from genret.tasks.indexing import D2Q, DaQ, FirstP, Sentences, Titles
from genret.tasks.synthetic import BLOCK, SyntheticQuery, write_line

TOKENIZER = Tokenizer()


def read(config, collection, input_length=128):
  """Returns the inputs, as texts, of each document's row."""
  examples = config.examples(collection, TOKENIZER, input_length=input_length)
  found = collections.defaultdict(list)
  for i, row in enumerate(examples.documents.tolist()):
    found[row].append(TOKENIZER.decode(examples[i]))
  return dict(found)


def test_firstp_is_the_head_of_title_and_text(small):
  assert read(FirstP(rate=1.0), small) == {
    0: ["Tower It is tall. It was built."],
    1: ["A river flows to the sea."],
    2: ["Bridge It spans the river. Cars."],
  }
  assert read(FirstP(rate=1.0, num_tokens=3, title=False), small)[0] == [
    "It is tall"
  ]


def test_firstp_on_real_passages_is_t5_truncation(squad):
  examples = FirstP(rate=1.0).examples(squad, TOKENIZER, input_length=128)
  contents = [d.contents for d in squad.documents()][:100]
  expected = TOKENIZER.encode(contents, max_length=65)
  assert [examples[i].tolist() for i in range(100)] == expected
  assert examples.num_examples == squad.num_documents
  assert examples.num_truncated == 0


def test_daq_draws_spans_by_its_seed(squad):
  contents = [d.contents for d in squad.documents()]
  ids = TOKENIZER.encode(contents, max_length=1 << 20, eos=False)

  def draw(**settings):
    config = DaQ(rate=1.0, num_spans=3, span_length=16, **settings)
    return config.examples(squad, TOKENIZER, input_length=64)

  examples = draw()
  assert examples.num_examples == 3 * squad.num_documents
  for i in range(0, examples.num_examples, 97):
    *span, end = examples[i].tolist()
    whole = ids[examples.documents[i]]
    assert end == 1
    assert len(span) == 16
    assert any(span == whole[j : j + 16] for j in range(len(whole)))
  assert (draw().tokens == examples.tokens).all()
  assert (draw(seed=1).tokens != examples.tokens).any()


def test_sentences_of_each_document(small):
  assert read(Sentences(rate=1.0, min_words=3), small) == {
    0: ["It is tall.", "It was built."],
    1: ["A river flows to the sea."],
    2: ["It spans the river."],
  }
  assert read(Sentences(rate=1.0, min_words=1, title=True), small)[2] == [
    "Bridge It spans the river.",
    "Bridge Cars.",
  ]


def test_titles_of_documents_that_have_one(small):
  assert read(Titles(rate=1.0), small) == {0: ["Tower"], 2: ["Bridge"]}


def test_d2q_takes_the_first_queries_of_each_document(small, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text("c\tone\na\ttwo\nc\tthree\nc\tfour\n")
  config = D2Q(rate=1.0, path=str(path))
  assert read(config, small) == {2: ["one", "three", "four"], 0: ["two"]}
  config = D2Q(rate=1.0, path=str(path), num_queries=2)
  assert read(config, small) == {2: ["one", "three"], 0: ["two"]}


def test_d2q_leaves_out_queries_of_lower_grades(small, tmp_path, caplog):
  path = tmp_path / "queries.jsonl"
  grades = {"zero": 0, "none": None, "one": 1, "two": 2}
  path.write_text(
    "".join(
      write_line(SyntheticQuery(docno="a", text=text, grade=grade))
      for text, grade in grades.items()
    )
  )
  config = D2Q(rate=1.0, path=str(path))
  assert read(config, small) == {0: ["none", "one", "two"]}
  assert "leaves out 1 of 4 queries, made for a grade below 1" in caplog.text
  first = dataclasses.replace(config, num_queries=1)
  assert read(first, small) == {0: ["none"]}
  strict = dataclasses.replace(config, relevance=2)
  assert read(strict, small) == {0: ["none", "two"]}
  assert "relevance" not in config.content() | canonical(config)
  assert strict.content()["relevance"] == canonical(strict)["relevance"] == 2


def test_d2q_reads_an_artifact_as_it_reads_its_file(small, tmp_path):
  folder = tmp_path / "queries"
  with artifacts.building(folder, artifacts.Recipe(stage="generate")) as draft:
    query = SyntheticQuery(docno="c", text="one", log_probability=-2.0)
    (draft / "queries.jsonl").write_text(write_line(query))
  config = D2Q(rate=1.0, path=str(folder))
  assert read(config, small) == {2: ["one"]}
  file = D2Q(rate=1.0, path=str(folder / "queries.jsonl"))
  assert config.content() == file.content()


def test_d2q_of_another_collection_is_an_error(small, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text("a\tone\nz\ttwo\n")
  with pytest.raises(DataError, match=f"{path}:2: docno 'z'"):
    read(D2Q(rate=1.0, path=str(path)), small)


def rung_of(parent, folder, rows):
  """Makes a rung without queries."""
  recipe = artifacts.Recipe(
    stage=rungs.STAGE,
    inputs={rungs.INPUT: parent.identity},
    format_version=rungs.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe, aside=[rungs.PARENT]) as draft:
    np.save(draft / rungs.ROWS, np.array(rows, np.int32))
    (draft / "docnos").mkdir()
    parent.docnos.take(np.array(rows)).save(draft / "docnos")
    artifacts.write_json(draft / "summary.json", {"documents": len(rows)})
    rungs.write_parent(draft, parent.root, final=folder)
  return Collection.open(folder)


def test_d2q_on_a_rung_reads_the_file_of_its_collection(small, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text("c\tone\na\ttwo\nb\tthree\nc\tfour\n")
  two = rung_of(small, tmp_path / "two", [0, 2])
  one = rung_of(two, tmp_path / "one", [1])
  config = D2Q(rate=1.0, path=str(path))
  assert read(config, two) == {0: ["two"], 1: ["one", "four"]}
  assert read(config, one) == {0: ["one", "four"]}
  config = D2Q(rate=1.0, path=str(path), num_queries=1)
  assert read(config, one) == {0: ["one"]}
  path.write_text("c\tone\nb\ttwo\nz\tthree\n")
  with pytest.raises(DataError, match=f"{path}:3: docno 'z'"):
    read(config, one)


def test_d2q_counts_over_blocks(small, tmp_path):
  path = tmp_path / "queries.tsv"
  lines = [f"{'abc'[i % 3]}\tnumber {i}\n" for i in range(2 * BLOCK)]
  path.write_text("".join(lines))
  found = read(D2Q(rate=1.0, path=str(path), num_queries=BLOCK // 2), small)
  for row, queries in found.items():
    assert queries == [f"number {row + 3 * i}" for i in range(BLOCK // 2)]
  path.write_text("".join([*lines, "z\tlast\n"]))
  with pytest.raises(DataError, match=f"{path}:{2 * BLOCK + 1}: docno 'z'"):
    read(D2Q(rate=1.0, path=str(path)), small)


def test_d2q_is_known_by_its_content_not_its_path(tmp_path):
  paths = [tmp_path / "one.tsv", tmp_path / "two.tsv"]
  for path in paths:
    path.write_text("a\tone\n")
  first, second = (D2Q(rate=1.0, path=str(p)).content() for p in paths)
  assert first == second
  paths[1].write_text("a\tother\n")
  assert D2Q(rate=1.0, path=str(paths[1])).content() != first


def test_a_task_without_examples_says_so(small):
  with pytest.raises(ConfigError, match="'sentences' finds no example"):
    read(Sentences(rate=1.0, min_words=50), small)


@pytest.mark.parametrize(
  ("kind", "settings", "message"),
  [
    (FirstP, {"num_tokens": 0}, "num_tokens must be"),
    (DaQ, {"num_spans": 0}, "num_spans must be"),
    (DaQ, {"span_length": 0}, "span_length must hold"),
    (DaQ, {"min_span_length": 65}, "span_length must hold"),
    (DaQ, {"seed": -1}, "seed must be"),
    (Sentences, {"min_words": 0}, "min_words must be"),
    (D2Q, {"path": "x", "num_queries": 0}, "num_queries must be"),
  ],
)
def test_wrong_settings_are_refused(kind, settings, message):
  with pytest.raises(ConfigError, match=message):
    kind(rate=1.0, **settings)
