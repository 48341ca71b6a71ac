import collections
import gzip
import hashlib
import json
from importlib import resources

from genret.corpora import embedded


def test_squad_is_whole():
  source = embedded.squad()
  documents = list(source.documents())
  assert source.name == "squad"
  assert len(documents) == 2067
  assert documents[0].docno == "Super_Bowl_50#0"
  assert documents[0].title == "Super Bowl 50"
  assert sum(1 for _ in source.queries()) == 10_570
  judged = {s: len(list(read())) for s, read in source.qrels.items()}
  assert judged == {"train": 7488, "dev": 521, "test": 2561}
  assert source.skipped() == {}


def test_ten_synthetic_queries_of_each_passage_ship():
  with gzip.open(embedded.squad_queries(), "rt", encoding="utf-8") as file:
    found = [json.loads(line) for line in file]
  written = collections.Counter(query["docno"] for query in found)
  docnos = [document.docno for document in embedded.squad().documents()]
  assert list(written) == docnos
  assert set(written.values()) == {10}
  assert {query["generator"] for query in found} == {
    "SmolLM2-135M-Instruct.Q4_1"
  }
  assert all(query["query"].endswith("?") for query in found)


def test_its_identity_is_that_of_the_archive():
  folder = resources.files("genret") / "data" / "squad"
  archive = (folder / "squad.tar.xz").read_bytes()
  expected = hashlib.sha256(archive).hexdigest()
  assert embedded.squad().origin() == {"archive": expected}


def test_licence_and_attribution_ship_with_the_data():
  data = resources.files("genret") / "data"
  licence = (data / "squad" / "LICENSE").read_text(encoding="utf-8")
  assert "Attribution-ShareAlike 4.0" in licence
  readme = (data / "squad" / "README.md").read_text(encoding="utf-8")
  for word in ("Rajpurkar", "Wikipedia", "CC BY-SA 4.0"):
    assert word in readme
  readme = (data / "t5_vocab" / "README.md").read_text(encoding="utf-8")
  assert "Apache" in readme
