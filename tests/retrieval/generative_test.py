"""Searching with a tiny T5, against scoring every docid."""

import concurrent.futures
import subprocess
import sys

import jax
import numpy as np
import pytest

from genret.core import text
from genret.core.collection import Query
from genret.core.docid_table import DocidTable
from genret.core.errors import UserError
from genret.core.text import Tokenizer
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.exhaustive import exhaustive
from genret.decoding.trie import Trie
from genret.embeddings.bert import BertConfig
from genret.evaluation.measures import evaluate
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5, T5Config
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec

pytestmark = pytest.mark.usefixtures("compile_once")
QUERIES = ["Who built it?", "tall tower", "a river", "rivers and their bridges"]
LONG = "which of the many rivers that flow to the sea is " * 3  # over 16 ids
SHARED = (1, 3, 6, 10, 11)
BEAMS = 12  # in all searches, so that they are of one program

# Everything that a search needs, in a process that says what it loaded.
SEARCH = """
import sys
from genret.retrieval.generative import Retriever
[hits] = Retriever.load(sys.argv[1]).search(["a river"], k=2)
assert len(hits) == 2
heavy = {"tensorflow", "seqio", "clu", "tensorflow_datasets", "torch", "gin"}
print(heavy & set(sys.modules))
"""


def search(retriever, queries, *, k=BEAMS):
  return retriever.search(queries, k=k, num_beams=BEAMS)


def docnos(hits):
  return [hit.docno for hit in hits]


def close(one, other):
  assert docnos(one) == docnos(other)
  np.testing.assert_allclose(
    [hit.score for hit in one], [hit.score for hit in other], atol=1e-5
  )


@pytest.fixture(scope="module")
def params(model, retriever):
  _, params = model_folder.load_params(model, retriever.spec, "best")
  return params


@pytest.fixture(scope="module")
def found(retriever):
  return search(retriever, QUERIES)


def test_all_documents_come_best_first(found, docid_table):
  for hits in found:
    assert sorted(docnos(hits)) == sorted(docid_table.docnos)
    scores = np.array([hit.score for hit in hits], np.float32)
    assert (np.diff(scores) < 0).all()
    assert scores[0] < 0


def test_one_string_has_its_own_list(retriever, found):
  assert (
    retriever.search(QUERIES[1], k=BEAMS, num_beams=BEAMS)
    == (search(retriever, QUERIES[1:2])[0])
  )


def test_ids_are_searched_as_their_text_is(found, retriever):
  tokens = Tokenizer().encode(QUERIES, max_length=retriever.spec.input_length)
  hits = retriever.search_tokens(tokens, k=BEAMS, num_beams=BEAMS)
  assert hits == found


def test_the_query_decides(found):
  assert len({tuple(hit.score for hit in hits) for hits in found}) == 4


def test_k_documents_come_back_or_all_there_are(retriever, found):
  for k in (1, 2, 5, 12, 500):
    for fewer, all_of_them in zip(
      search(retriever, QUERIES, k=k), found, strict=True
    ):
      assert fewer == all_of_them[:k]


def test_beams_are_as_many_as_documents_wanted(retriever, found):
  assert retriever.search(QUERIES, k=BEAMS) == found


def test_measures_judge_documents_where_docids_are_shared(found):
  shared = [f"d{i}" for i in SHARED]
  for hits in found:
    names = docnos(hits)
    places = sorted(names.index(docno) for docno in shared)
    assert places == list(range(places[0], places[0] + len(SHARED)))
    for docno in shared:
      # One of five: its own place counts, not the first of its docid.
      one = evaluate({"q": hits}, {"q": {docno: 1}}, measures=["RR", "R@1"])
      assert one.means["RR"] == 1 / (1 + names.index(docno))
      assert one.means["R@1"] == (names[0] == docno)
    cut = places[0] + 2
    both = {"q": dict.fromkeys(shared, 1)}
    some = evaluate({"q": hits}, both, measures=[f"R@{cut}", "nDCG@12"])
    assert some.means[f"R@{cut}"] == pytest.approx(2 / 5)
    gains = sum(1 / np.log2(2 + place) for place in places)
    best = sum(1 / np.log2(2 + place) for place in range(5))
    assert some.means["nDCG@12"] == pytest.approx(gains / best)


def test_a_search_equals_scoring_every_docid(retriever, found, docid_table):
  """With as many beams as docids nothing can be dropped."""
  trie = Trie.build(docid_table.codes, docid_table.vocab_size)
  stepper = retriever._stepper
  tokenizer = Tokenizer()
  inputs = tokenizer.pad(tokenizer.encode(QUERIES, max_length=32), 16)
  beams = jax.device_get(
    exhaustive(stepper, stepper.encode(inputs), DeviceTrie.place(trie))
  )
  for number, hits in enumerate(found):
    rows = beams.rows[number][beams.valid[number]]
    assert sorted(rows) == list(range(trie.num_rows))
    expected = [
      (set(trie.documents(row).tolist()), score)
      for row, score in zip(rows, beams.scores[number], strict=False)
    ]
    for documents, score in expected:
      here, hits = hits[: len(documents)], hits[len(documents) :]
      assert {int(hit.docno[1:]) for hit in here} == documents
      np.testing.assert_allclose([hit.score for hit in here], score, atol=1e-5)
    assert not hits


def test_documents_of_one_docid_follow_one_another(found):
  """Always in the same order, which is not that of the corpus."""
  orders = set()
  for hits in found:
    places = [i for i, d in enumerate(docnos(hits)) if int(d[1:]) in SHARED]
    assert places == list(range(places[0], places[0] + len(SHARED)))
    orders.add(tuple(docnos(hits)[i] for i in places))
  assert len(orders) == 1
  assert orders != {tuple(f"d{i}" for i in SHARED)}


def test_docnos_decide_nothing(retriever, params, found, docid_table):
  """Other names, in the reverse of the old order: the same documents."""
  renamed = DocidTable(
    codes=docid_table.codes,
    docnos=[f"x{99 - i}" for i in range(docid_table.num_documents)],
    vocab_size=docid_table.vocab_size,
    scheme=docid_table.scheme,
  )
  other = Retriever(
    retriever.spec,
    params,
    table=renamed,
    trie=Trie.build(renamed.codes, renamed.vocab_size),
  )
  for ours, theirs in zip(search(other, QUERIES), found, strict=True):
    assert [f"d{99 - int(d[1:])}" for d in docnos(ours)] == docnos(theirs)


def test_other_queries_in_the_batch_change_nothing(retriever, found):
  [alone] = search(retriever, QUERIES[:1])
  close(alone, found[0])
  longer = search(retriever, [LONG, *reversed(QUERIES)])
  for one, other in zip(reversed(longer[1:]), found, strict=True):
    close(one, other)


def test_more_queries_than_a_batch_keep_their_places(retriever, found):
  """72 queries are a batch of 64 and one of 8."""
  for i, hits in enumerate(search(retriever, QUERIES * 18)):
    close(hits, found[i % 4])


def test_a_run_has_the_hits_by_query_id(retriever, found):
  queries = [Query(query_id=f"q{i}", text=t) for i, t in enumerate(QUERIES)]
  run = retriever.run(queries, k=3, num_beams=BEAMS)
  assert run == {f"q{i}": hits[:3] for i, hits in enumerate(found)}


def test_nothing_asked_is_nothing_found(retriever):
  assert retriever.search([]) == []
  assert retriever.run([], k=3) == {}


@pytest.mark.parametrize("query", ["", "  \n", "\N{SNOWMAN}", "\0"])
def test_a_query_without_words_finds_something(retriever, query):
  [hits] = search(retriever, [query])
  assert len(hits) == BEAMS
  assert np.isfinite([hit.score for hit in hits]).all()


def test_a_query_longer_than_the_model_reads_is_cut(retriever):
  once, longer = search(retriever, [LONG * 2, LONG * 2 + "and more"])
  close(once, longer)


@pytest.mark.parametrize(
  ("queries", "numbers", "message"),
  [
    (["a river", "\ud83d"], {}, "Query 1 holds half of a surrogate pair"),
    (["a river", 3], {}, "Query 1 is no string; int came"),
    (["a river"], {"k": 0}, "k is .* from 1 on, got 0"),
    (["a river"], {"k": -3}, "got -3"),
    (["a river"], {"num_beams": 0}, "num_beams is 0; expected 1 or more"),
  ],
)
def test_what_cannot_be_searched_is_refused(
  retriever, queries, numbers, message
):
  with pytest.raises(UserError, match=message):
    retriever.search(queries, **numbers)


def test_other_parameters_share_the_compiled_program(
  retriever, found, model, caplog
):
  _, newest = model_folder.load_params(model, retriever.spec, "newest")
  other = retriever.with_params(newest)
  with jax.log_compiles(), caplog.at_level("WARNING"):
    scores = search(other, QUERIES)
    assert scores != found
    assert search(retriever, QUERIES) == found
    assert not caplog.records
    jax.jit(lambda number: number + 1)(1.0)  # one that does compile
  assert any("ompiling" in record.getMessage() for record in caplog.records)


def test_threads_may_share_a_retriever(retriever, params, found):
  larger = retriever.with_params(jax.tree.map(lambda leaf: 1.1 * leaf, params))
  expected = {0: found, 1: search(larger, QUERIES)}
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    searches = [
      pool.submit(search, (retriever, larger)[i % 2], QUERIES)
      for i in range(24)
    ]
    for i, task in enumerate(searches):
      assert task.result() == expected[i % 2]


def test_searching_loads_no_tensorflow(model):
  shown = subprocess.run(
    [sys.executable, "-c", SEARCH, str(model)],
    capture_output=True,
    text=True,
    check=False,
  )
  assert shown.returncode == 0, shown.stderr
  assert shown.stdout == "set()\n"


def test_queries_are_read_in_the_vocabulary_of_the_model(docid_table):
  bert = BertConfig(emb_dim=32, num_layers=1, num_heads=2, mlp_dim=32)
  config = T5Config(
    encoder=EncoderConfig(bert=bert),
    emb_dim=32,
    num_heads=2,
    head_dim=16,
    mlp_dim=32,
    num_decoder_layers=1,
    docid_vocab_size=docid_table.vocab_size,
    docid_length=docid_table.length,
  )
  spec = ModelSpec(
    model=config,
    num_symbols=docid_table.vocab_size,
    scheme="example",
    docids="",
    input_length=16,
  )
  zeros = np.zeros((1, 4), np.int32)
  init = jax.jit(T5(config).init)
  params = init(jax.random.key(0), zeros, zeros)["params"]
  trie = Trie.build(docid_table.codes, docid_table.vocab_size)
  retriever = Retriever(spec, params, table=docid_table, trie=trie)
  query = "who painted the Übermensch's river"
  [[best]] = retriever.search([query], k=1, num_beams=BEAMS)
  wordpiece = text.vocabulary("bert_uncased")
  inputs = wordpiece.pad(wordpiece.encode([query], max_length=16), 16)
  assert inputs[0, 0] == 101 and 102 in inputs
  stepper = retriever._stepper
  beams = exhaustive(stepper, stepper.encode(inputs), DeviceTrie.place(trie))
  np.testing.assert_allclose(best.score, beams.scores[0, 0], atol=1e-5)
