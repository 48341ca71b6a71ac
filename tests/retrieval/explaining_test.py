"""What a search says of itself, against the search and against arithmetic."""

import collections
import concurrent.futures
import copy
import functools
import json
import math
import pathlib
import re

import jax
import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.collection import Document
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError
from genret.docids import lexical
from genret.docids.corpus import Listed
from genret.models.sizes import PawaConfig
from genret.retrieval.unconstrained import FreeSearch
from genret.retrieval.untrained import untrained

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("compile_once")
QUERIES = ["Who built it?", "tall tower", "a river", "rivers and their bridges"]
NAMES = [
  "Seine",
  "the Seine",
  "the Loire",
  "Loire river",
  "a bridge",
  "bridges",
]
BEAMS = 3


def table_of(codes, **fields):
  codes = np.array(codes)
  return DocidTable(
    codes=codes,
    docnos=[f"d{i}" for i in range(len(codes))],
    vocab_size=int(codes.max()) + 2,
    scheme="example",
    **fields,
  )


def atomic_table():
  return table_of([[symbol] for symbol in range(3, 9_000, 2)])


def leveled_table():
  rng = np.random.default_rng(0)
  codes = rng.integers(0, 4, size=(20, 3)) + [2, 6, 10]
  return table_of(codes, level_starts=(2, 6, 10))


def text_table():
  return lexical.fit_docno(Listed.named(NAMES))


@pytest.fixture(scope="module")
def retriever_of(docid_table):
  """One for each kind of docid, and how it scores; made when first used."""

  @functools.cache
  def make(kind):
    name, *scoring = kind.split(", ")
    settings = {"scoring": scoring[0] if scoring else "raw", "seed": 1}
    match name:
      case "lengths":
        return untrained(docid_table, **settings)
      case "atomic":
        return untrained(atomic_table(), **settings)
      case "text":
        return untrained(text_table(), **settings)
      case "prefix-aware":
        pawa = PawaConfig(num_layers=1)
        return untrained(leveled_table(), pawa=pawa, **settings)
      case "the only one":
        return untrained(table_of([[2, 3]] * 2), **settings)

  return make


@pytest.fixture(scope="module")
def retriever(retriever_of):
  return retriever_of("lengths")


KINDS = [
  "lengths",
  "lengths, renormalised",
  "atomic",
  "text",
  *(
    pytest.param(kind, marks=pytest.mark.slow)
    for kind in (
      "atomic, renormalised",
      "text, renormalised",
      "prefix-aware",
      "the only one",
    )
  ),
]


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_what_a_search_finds(retriever_of, kind):
  retriever = retriever_of(kind)
  for query, hits in zip(
    QUERIES, retriever.search(QUERIES, k=BEAMS), strict=True
  ):
    explanation = retriever.explain(query, num_beams=BEAMS)
    assert [h.docno for h in explanation.hits] == [h.docno for h in hits]
    np.testing.assert_allclose(
      [h.score for h in explanation.hits], [h.score for h in hits], atol=1e-4
    )
    docids = [retriever.docid(hit.docno) for hit in hits]
    assert list(explanation.docids) == docids


@pytest.mark.parametrize("kind", KINDS)
def test_the_tree_is_whole(retriever_of, kind):
  """All that was weighed is named here: it adds up."""
  retriever = retriever_of(kind)
  explanation = retriever.explain(
    QUERIES[0], num_beams=BEAMS, dropped=9_000, documents=9_000
  )
  every = tuple(retriever.table.docnos)
  before = {"": (0.0, len(every), set(every))}
  for depth, level in enumerate(explanation.levels, start=1):
    assert level.depth == depth
    assert level.candidates == len(level.nodes)
    scores = [node.score for node in level.nodes]
    assert scores == sorted(scores, reverse=True)
    kept = [node.kept for node in level.nodes]
    assert kept == [place < BEAMS for place in range(len(kept))]
    below, shares = collections.defaultdict(list), collections.Counter()
    for node in level.nodes:
      assert node.id == ".".join(filter(None, [node.parent, str(node.symbol)]))
      assert node.probability == pytest.approx(math.exp(node.score))
      assert node.documents == len(node.docnos)
      below[node.parent] += node.docnos
      shares[node.parent] += node.probability
    for parent, docnos in below.items():
      score, count, documents = before[parent]
      assert len(docnos) == count and set(docnos) == documents
      if "renormalised" in kind:
        assert shares[parent] == pytest.approx(math.exp(score), rel=1e-4)
      else:
        assert shares[parent] <= math.exp(score) * (1 + 1e-4)
    assert below.keys() == before.keys()
    before = {
      node.id: (node.score, node.documents, set(node.docnos))
      for node in level.nodes
      if node.kept
    }
  assert all(node.complete for node in level.nodes if node.kept)


@pytest.mark.parametrize("dropped", [0, 1, 4])
@pytest.mark.parametrize("kind", ["lengths", "atomic"])
def test_some_of_the_dropped_are_named(retriever_of, kind, dropped):
  full, part = (
    retriever_of(kind).explain(QUERIES[0], num_beams=BEAMS, dropped=most)
    for most in (9_000, dropped)
  )
  for all_of_them, some in zip(full.levels, part.levels, strict=True):
    assert some.candidates == all_of_them.candidates
    assert some.nodes == all_of_them.nodes[: BEAMS + dropped]
  assert part.hits == full.hits


def test_a_docid_that_ended_is_kept_or_dropped_beside_the_others(retriever):
  explain = retriever.explain
  ended = [
    (levels[depth - 1], level)
    for query in QUERIES
    for levels in [explain(query, num_beams=BEAMS, dropped=99).levels]
    for depth, level in enumerate(levels)
    if depth and any(node.symbol == 0 for node in level.nodes)
  ]
  assert ended
  for before, level in ended:
    parents = {node.id: node for node in before.nodes}
    for node in level.nodes:
      parent = parents[node.parent]
      assert parent.complete == (node.symbol == 0)
      if parent.complete:
        assert node.complete and node.label == ""
        assert node.score == parent.score
        assert node.docnos == parent.docnos


def test_symbols_of_text_are_shown_as_pieces(retriever_of):
  levels = (
    retriever_of("text").explain("a river", num_beams=BEAMS, dropped=99).levels
  )
  assert "▁the" in {node.label for node in levels[0].nodes}
  assert {node.label for node in levels[-1].nodes} <= {"<end>", ""}


def test_it_is_json(retriever, docid_table):
  explanation = retriever.explain("a river", num_beams=BEAMS)
  fields = json.loads(json.dumps(explanation.as_json(), allow_nan=False))
  assert fields.keys() == {
    "query",
    "scheme",
    "scoring",
    "num_beams",
    "levels",
    "hits",
  }
  first = explanation.levels[0].nodes[0]
  assert fields["levels"][0]["nodes"][0] == {
    "id": first.id,
    "parent": "",
    "symbol": first.symbol,
    "label": first.label,
    "score": first.score,
    "probability": first.probability,
    "kept": True,
    "complete": first.complete,
    "documents": first.documents,
    "docnos": list(first.docnos),
  }
  assert [hit["docno"] for hit in fields["hits"]] == [
    hit.docno for hit in explanation.hits
  ]
  assert [hit["docid"] for hit in fields["hits"]] == list(explanation.docids)


@pytest.mark.parametrize(
  ("query", "numbers", "message"),
  [
    (["a river"], {}, "one query, a string; list came"),
    ("a river", {"num_beams": 0}, "num_beams is 0; expected 1 or more"),
    ("a river", {"dropped": -1}, "dropped is -1; expected 0 or more"),
    ("a river", {"documents": -1}, "documents is -1"),
  ],
)
def test_what_cannot_be_explained_is_refused(
  retriever, query, numbers, message
):
  with pytest.raises(UserError, match=message):
    retriever.explain(query, **numbers)


def test_other_searches_are_not_explained(retriever):
  shared = copy.copy(retriever)
  shared._mesh = "as if on several devices"
  free = retriever.with_search(FreeSearch(retriever.trie))
  for other in (shared, free):
    with pytest.raises(ConfigError, match="one device along the trie"):
      other.explain("a river")


def test_threads_get_the_same_answers(retriever):

  def ask(query):
    hits = retriever.search([query] * 4, k=BEAMS)
    return hits, retriever.explain(query, num_beams=BEAMS)

  expected = {query: ask(query) for query in QUERIES}
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(ask, QUERIES * 8))
  assert answers == [expected[query] for query in QUERIES * 8]


@pytest.mark.slow
def test_nothing_compiles_after_a_warm_up(docid_table, caplog):
  retriever = untrained(docid_table, input_length=20, seed=1)
  retriever.warm_up(5)
  with jax.log_compiles(), caplog.at_level("WARNING"):
    for words in range(30):
      query = "river " * words
      retriever.search(query, k=9, num_beams=5)
      retriever.explain(query, num_beams=5, dropped=words)
    for count in (2, 8, 9, 64, 72):
      retriever.search(QUERIES[:1] * count, k=1, num_beams=5)
    assert not caplog.records
    jax.jit(lambda number: number + 2)(1.0)  # one that does compile
  assert any("ompiling" in record.getMessage() for record in caplog.records)


@pytest.mark.slow
def test_the_page_about_python_runs(model, tmp_path, monkeypatch):
  made = tmp_path / "genret-quickstart"
  (made / "models").mkdir(parents=True)
  (made / "models" / "semantic").symlink_to(model)
  recipe = artifacts.Recipe(
    stage=collection.STAGE,
    arguments={},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(made / "collection", recipe) as draft:
    documents = (
      Document(docno=f"d{i}", title="a title", text="a text") for i in range(12)
    )
    collection.write(draft, documents=documents, queries=[], qrels={})
  monkeypatch.chdir(tmp_path)
  page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
  blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
  assert len(blocks) >= 5
  names = {}
  for block in blocks:
    exec(block, names)
  assert len(names["explanation"].hits) == 3
