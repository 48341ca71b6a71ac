"""Real questions as synthetic queries of 64 real passages."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from genret.core import artifacts
from genret.core.collection import Query
from genret.core.errors import ArtifactError, ConfigError, DataError, UserError
from genret.embeddings.store import EmbeddingStore
from genret.querygen import filter as round_trip
from genret.querygen.filter import Rule
from genret.querygen.near_duplicates import repeats
from genret.retrieval.bm25 import BM25
from genret.stages import filter_queries
from genret.stages.filter_queries import FilterConfig
from genret.stages.searchers import SearcherConfig
from genret.tasks.synthetic import SyntheticQuery, read_queries, write_line

CONFIG = FilterConfig(depth=3)


@pytest.fixture
def no_figures(monkeypatch):
  """Drawing takes a second; most tests do not look at it."""
  monkeypatch.setattr("genret.querygen.plots.available", lambda: False)


@pytest.fixture(scope="module")
def queries(collection, tmp_path_factory):
  """A file of queries in no order: right ones, repeats, and wrong ones."""
  right = [
    SyntheticQuery(docno=p.docno, text=p.query.text, generator="right")
    for p in collection.positives("train")
  ]
  wrong = [
    SyntheticQuery(docno=a.docno, text=b.text, generator="wrong")
    for a, b in zip(right[::5], right[17::5], strict=False)
  ]
  again = [dataclasses.replace(q, text=q.text.upper()) for q in right[::9]]
  path = tmp_path_factory.mktemp("queries") / "queries.jsonl"
  path.write_text("".join(map(write_line, [*right, *wrong, *again])))
  return path


@pytest.fixture(scope="module")
def filtered(queries, collection, tmp_path_factory):
  out = tmp_path_factory.mktemp("filtered") / "out"
  return out, filter_queries.run(CONFIG, queries, collection, out=out)


def by_brute_force(path, collection):
  """Searches each query alone, and compares repeats pair by pair."""
  searcher = BM25().fit(collection.documents())
  rows = {docno: row for row, docno in enumerate(collection.docnos)}
  groups = [[] for _ in rows]
  for query in read_queries(path):
    groups[rows[query.docno]].append(query)
  kept = []
  for group in groups:
    found = [
      query
      for query in group
      if [
        hit.docno
        for hit in searcher.search([as_query(query)], k=1).get("q", ())
      ]
      == [query.docno]
    ]
    kinds = repeats([query.text for query in found])
    kept += [q for q, k in zip(found, kinds, strict=True) if k == "first"]
  return kept


def as_query(query):
  return Query(query_id="q", text=query.text)


def test_what_stays_is_what_finds_its_document(filtered, queries, collection):
  out, _ = filtered
  kept = list(read_queries(out / "queries.jsonl"))
  assert kept == by_brute_force(queries, collection)
  dropped = [
    json.loads(line) for line in (out / "dropped.jsonl").open(encoding="utf-8")
  ]
  assert len(kept) + len(dropped) == len(list(read_queries(queries)))
  assert {row["verdict"] for row in dropped} == {"missed", "same", "near"}
  assert {row["rank"] for row in dropped if row["verdict"] == "same"} == {1}
  assert {0, 2} <= {row["rank"] for row in dropped} <= {0, 1, 2, 3}
  artifacts.verify(out)


def test_every_document_has_a_line(filtered, queries):
  out, _ = filtered
  head, *lines = (out / "documents.tsv").read_text().splitlines()
  assert head.split("\t") == ["docno", "queries", "found", "kept"]
  table = {docno: list(map(int, n)) for docno, *n in map(str.split, lines)}
  for i, path in ((0, queries), (2, out / "queries.jsonl")):
    counted = Counter(query.docno for query in read_queries(path))
    assert {docno: n[i] for docno, n in table.items() if n[i]} == counted
  assert all(n[2] <= n[1] <= n[0] for n in table.values())
  rates = json.loads((out / "summary.json").read_text())["filter"]
  shares = [found / total for total, found, _ in table.values()]
  assert rates["by_document"] == pytest.approx(sum(shares) / len(shares))


def test_the_report_is_of_these_queries(filtered, collection):
  out, report = filtered
  summary = json.loads((out / "summary.json").read_text())
  rates = summary["filter"]
  kept = sum(1 for _ in (out / "queries.jsonl").open())
  assert summary["queries"] == rates["kept"] == kept
  assert rates["found"]["1"] == rates["queries"] * rates["keep_rate"]
  assert rates["by_generator"]["right"] > 0.9 > rates["by_generator"]["wrong"]
  before, after = (summary["described"][name] for name in ("before", "after"))
  assert before["same"] > after["same"] == 0
  assert before["queries"] == rates["queries"] and after["queries"] == kept
  overlap = before["overlap"]["train"]
  assert overlap["generated"] == before["queries"]
  assert overlap["for_their_document"] < before["queries"]
  assert "train" not in summary["described"]["train queries"]["overlap"]
  assert f"{kept:,}" in report.text and " before |" in report.text
  assert report.text == (out / "report.md").read_text().rstrip()
  assert [path.name for path in report.files] == ["report.png", "report.svg"]
  manifest = artifacts.load(out)
  assert "report.png" not in manifest.files and manifest.stage == "filter"


@pytest.mark.usefixtures("no_figures")
def test_killed_it_goes_on_and_ends_the_same(
  filtered, queries, collection, tmp_path, monkeypatch
):
  monkeypatch.setattr(filter_queries, "BLOCK", 60)
  monkeypatch.setattr(filter_queries, "CHUNK", 20)
  ranks, calls = round_trip.ranks, []

  def killed_after(number):
    def counted(*arguments, **named):
      if len(calls) == number:
        raise KeyboardInterrupt
      calls.append(number)
      return ranks(*arguments, **named)

    monkeypatch.setattr(round_trip, "ranks", counted)

  out = tmp_path / "out"
  killed_after(5)  # in the second block
  with pytest.raises(KeyboardInterrupt):
    filter_queries.run(CONFIG, queries, collection, out=out)
  assert not out.exists()
  calls.clear()
  killed_after(None)
  filter_queries.run(CONFIG, queries, collection, out=out)
  total = sum(1 for _ in queries.open())
  blocks = [min(60, total - start) for start in range(60, total, 60)]
  assert len(calls) == sum(-(-block // 20) for block in blocks)
  assert artifacts.identity(out) == artifacts.identity(filtered[0])
  assert [path.name for path in tmp_path.iterdir()] == ["out"]
  calls.clear()
  filter_queries.run(CONFIG, queries, collection, out=out)
  assert not calls


def test_other_settings_need_another_folder(filtered, queries, collection):
  config = dataclasses.replace(CONFIG, rule=Rule(k=2))
  with pytest.raises(ArtifactError, match='"k": 1'):
    filter_queries.run(config, queries, collection, out=filtered[0])


@pytest.mark.usefixtures("no_figures")
def test_documents_may_keep_their_best(queries, collection, tmp_path):
  lines = [
    line
    for line in queries.open(encoding="utf-8")
    if json.loads(line)["generator"] == "wrong"
  ]
  path = tmp_path / "wrong.jsonl"
  path.write_text("".join(lines))
  rule = Rule(k=1, keep_best=True)
  config = FilterConfig(rule=rule, depth=64)
  filter_queries.run(config, path, collection, out=tmp_path / "out")
  summary = json.loads((tmp_path / "out" / "summary.json").read_text())
  rates = summary["filter"]
  assert rates["left_without"] == 0 and rates["verdicts"]["best"] > 10
  kept = read_queries(tmp_path / "out" / "queries.jsonl")
  documents = {json.loads(line)["docno"] for line in lines}
  assert {query.docno for query in kept} == documents


@pytest.mark.usefixtures("no_figures")
def test_without_a_search_only_repeats_go(queries, collection, tmp_path):
  config = FilterConfig(searcher=None)
  filter_queries.run(config, queries, collection, out=tmp_path / "out")
  rates = json.loads((tmp_path / "out" / "summary.json").read_text())["filter"]
  assert set(rates["verdicts"]) == {"kept", "same", "near"}
  assert rates["depth"] == 0 and rates["found"] == {}
  assert rates["rule"]["k"] is None


def letters():
  """Loads an encoder that counts letters."""
  alphabet = "abcdefghijklmnopqrstuvwxyz"
  return lambda texts: np.array(
    [[1 + text.lower().count(letter) for letter in alphabet] for text in texts],
    np.float32,
  )


@pytest.mark.usefixtures("no_figures")
def test_dense_search_makes_its_vectors_or_takes_them(
  queries, collection, tmp_path
):
  searcher = SearcherConfig(by="dense", encoder=letters)
  config = FilterConfig(searcher=searcher, rule=Rule(k=10))
  out = tmp_path / "made"
  filter_queries.run(config, queries, collection, out=out)
  assert not list(tmp_path.glob(".*"))
  texts = [document.contents for document in collection.documents()]
  store = EmbeddingStore(
    vectors=letters()(texts).astype(np.float16), docnos=collection.docnos
  )
  given = tmp_path / "given"
  filter_queries.run(config, queries, collection, out=given, embeddings=store)
  kept = (out / "queries.jsonl").read_bytes()
  assert kept == (given / "queries.jsonl").read_bytes()
  assert artifacts.load(given).inputs["embeddings"] == store.identity


def test_faults_of_queries(queries, collection, tmp_path):
  out = tmp_path / "out"

  def run(path):
    return filter_queries.run(CONFIG, path, collection, out=out)

  path = tmp_path / "queries.tsv"
  path.write_text("nobody\twho is it\n")
  with pytest.raises(DataError, match="made for another one"):
    run(path)
  path.write_text("")
  with pytest.raises(DataError, match="the file is empty"):
    run(path)
  with pytest.raises(DataError, match="No such file"):
    run(tmp_path / "nowhere.tsv")
  with pytest.raises(ArtifactError, match="makes no synthetic queries"):
    run(collection.root)
  path.write_text(f"{collection.docnos[0]}\tqwxz\n")
  with pytest.raises(UserError, match="Not one of the 1 queries"):
    run(path)
  assert not out.exists()


def test_settings_that_cannot_be():
  with pytest.raises(ConfigError, match="nothing is filtered"):
    FilterConfig(searcher=None, rule=Rule(near_duplicates=None))
  with pytest.raises(ConfigError, match="set FilterConfig.searcher to None"):
    FilterConfig(rule=Rule(k=None))
  with pytest.raises(ConfigError, match="depth is 3 and k is 5"):
    FilterConfig(rule=Rule(k=5), depth=3)
