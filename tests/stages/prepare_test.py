import functools
import gzip
import json
import pathlib
import subprocess
import sys

import pytest

from genret.core import artifacts
from genret.core.errors import ArtifactError, ConfigError, DataError
from genret.core.text import normalise_query
from genret.corpora import beir, embedded, kilt
from genret.evaluation import splits
from genret.stages import prepare
from genret.stages.prepare import PrepareConfig

PLAIN_KILT = "d77a32898db438674937c12d7ff27c040632f2c7247f1d8938198c759196a856"
SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data" / "collections"


@pytest.fixture(scope="module")
def squad(tmp_path_factory):
  out = tmp_path_factory.mktemp("prepared") / "squad"
  return prepare.run(PrepareConfig(), out)


def jsonl(path, rows):
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def toy(tmp_path):
  """A folder of 30 training queries, 2 of which also stand in test."""
  root = tmp_path / "toy"
  (root / "qrels").mkdir(parents=True)
  jsonl(
    root / "corpus.jsonl",
    [{"_id": f"d{i}", "title": "", "text": f"text {i}"} for i in range(5)],
  )
  texts = {f"q{i}": f"query {i}" for i in range(30)}
  texts |= {"t0": "Query 0", "t1": " query  1 ", "t2": "unseen"}
  jsonl(
    root / "queries.jsonl",
    [{"_id": i, "text": text} for i, text in texts.items()],
  )
  header = "query-id\tcorpus-id\tscore\n"
  (root / "qrels" / "train.tsv").write_text(
    header + "".join(f"q{i}\td{i % 4}\t1\n" for i in range(30))
  )
  (root / "qrels" / "test.tsv").write_text(
    header + "t0\td0\t1\nt1\td4\t1\nt2\td4\t1\n"
  )
  return root


def test_squad_keeps_its_test_questions(squad):
  assert squad.num_documents == len(squad.docnos) == 2067
  assert squad.splits == ("train", "dev", "test")
  sizes = {split: len(squad.qrels(split)) for split in squad.splits}
  # 12 + 3 training questions also stand in test or dev, 21 twice in train
  assert sizes == {"train": 7488 - 15 - 21, "dev": 520, "test": 2561}
  assert sum(1 for _ in squad.queries("test")) == 2561
  assert sum(1 for _ in squad.queries()) == 10_570


def test_squads_splits_share_no_text(squad):
  texts = {q.query_id: normalise_query(q.text) for q in squad.queries()}
  splits.check_disjoint({s: squad.qrels(s) for s in squad.splits}, texts)


def test_squads_summary(squad):
  assert squad.summary["coverage"] == pytest.approx(0.98, abs=0.005)
  assert squad.summary["skipped"] == {}
  assert squad.summary["unjudged"] == 10_570 - 7452 - 520 - 2561
  text = prepare.report(squad)
  assert "squad: 2,067 documents, 10,570 queries (37 in no split)" in text
  assert "test: 2,561 queries, 2,561 judgements" in text
  assert "train queries dropped, their text is in another split: 15" in text
  assert "98.1 % of test positives" in text


def test_squad_is_named_by_content(squad, tmp_path):
  manifest = artifacts.load(squad.root)
  assert manifest.stage == "prepare"
  assert manifest.inputs == dict(embedded.squad().origin())
  text = manifest.text
  assert str(squad.root) not in text
  assert "/" not in text.replace("qrels/", "").replace("docnos/", "")
  again = prepare.run(PrepareConfig(source="squad"), tmp_path / "again")
  assert again.identity == squad.identity


def test_documents_are_unchanged(squad):
  prepared = squad.documents()
  for expected, found in zip(
    embedded.squad().documents(), prepared, strict=True
  ):
    assert found == expected


def test_a_toy_by_hand(toy, tmp_path, capsys):
  made = prepare.run(PrepareConfig(source=str(toy)), tmp_path / "out")
  train, dev = made.qrels("train"), made.qrels("dev")
  kept = {f"q{i}" for i in range(2, 30)}  # q0 and q1 stand in test
  assert train.keys() | dev.keys() == kept
  assert not train.keys() & dev.keys()
  assert 0 < len(dev) < 8
  assert made.qrels("test") == {
    "t0": {"d0": 1},
    "t1": {"d4": 1, "d1": 1},  # q1's answer as well
    "t2": {"d4": 1},
  }
  printed = capsys.readouterr().out
  assert "toy: 5 documents, 33 queries (2 in no split)" in printed
  assert "texts whose differing judgements were merged: 1" in printed
  assert "train queries dropped, their text is in another split: 2" in printed
  assert f"train queries carved off as dev: {len(dev)}" in printed
  assert "coverage: 50.0 %" in printed  # d0 and d1, not d4 twice


def test_judgements_can_be_left_as_published(toy, tmp_path):
  config = PrepareConfig(source=str(toy), merge_answers=False, dev_share=0)
  made = prepare.run(config, tmp_path / "out")
  assert made.splits == ("train", "test")
  assert made.qrels("test")["t1"] == {"d4": 1}
  assert len(made.qrels("train")) == 28


def test_the_seed_draws_another_dev(toy, tmp_path):
  one, other = (
    prepare.run(
      PrepareConfig(source=str(toy), dev_share=0.5, seed=seed),
      tmp_path / str(seed),
    )
    for seed in (0, 1)
  )
  assert one.qrels("dev") != other.qrels("dev")
  assert one.identity != other.identity


def test_splits_can_be_chosen_and_renamed(toy, tmp_path):
  config = PrepareConfig(
    source=str(toy), splits={"test": "train"}, dev_share=0.5
  )
  made = prepare.run(config, tmp_path / "out")
  assert made.splits == ("test",)
  assert len(made.qrels("test")) == 30
  with pytest.raises(ConfigError, match="no split 'tran'.*mean 'train'"):
    prepare.run(
      PrepareConfig(source=str(toy), splits={"test": "tran"}), tmp_path / "b"
    )
  with pytest.raises(ConfigError, match="'../x' cannot be the name"):
    prepare.run(
      PrepareConfig(source=str(toy), splits={"../x": "train"}), tmp_path / "b"
    )


def test_a_prepared_collection_stands(toy, tmp_path, capsys):
  config = PrepareConfig(source=str(toy))
  prepare.run(config, tmp_path / "out")
  before = (tmp_path / "out" / "provenance.json").read_bytes()
  prepare.run(config, tmp_path / "out")
  assert (tmp_path / "out" / "provenance.json").read_bytes() == before
  assert capsys.readouterr().out.count("toy: 5 documents") == 2
  with open(toy / "corpus.jsonl", "a") as file:
    file.write('{"_id": "d5", "text": "new"}\n')
  with pytest.raises(ArtifactError, match="input corpus.jsonl is "):
    prepare.run(config, tmp_path / "out")


def test_a_fault_leaves_nothing(toy, tmp_path):
  with open(toy / "corpus.jsonl", "a") as file:
    file.write("{\n")
  with pytest.raises(DataError, match="corpus.jsonl:6: broken JSON"):
    prepare.run(PrepareConfig(source=str(toy)), tmp_path / "out")
  assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_what_is_skipped_is_counted_and_printed(toy, tmp_path, capsys):
  with open(toy / "corpus.jsonl", "a") as file:
    file.write('{\n{"_id": "d0", "text": "again"}\n{"_id": "d6"}\n')
  with open(toy / "qrels" / "test.tsv", "a") as file:
    file.write("t2\td6\t1\n")
  config = PrepareConfig(source=str(toy), on_error="skip")
  made = prepare.run(config, tmp_path / "out")
  assert made.num_documents == 5
  assert made.summary["skipped"] == {
    "document: broken JSON": 1,
    "document: duplicate _id": 1,
    "document: empty text": 1,
    "test judgement: unknown document": 1,
  }
  printed = capsys.readouterr().out
  assert "skipped document: broken JSON: 1" in printed
  assert "skipped test judgement: unknown document: 1" in printed


def test_a_reader_with_its_path_bound(toy, tmp_path):
  corpus = toy / "corpus.jsonl"
  (toy / "corpus.jsonl.gz").write_bytes(gzip.compress(corpus.read_bytes()))
  corpus.unlink()
  source = functools.partial(beir.read, toy, name="bound")
  made = prepare.run(PrepareConfig(source=source), tmp_path / "out")
  assert made.name == "bound"


def test_tfds_data_sets_are_added_to_what_stands(toy, tmp_path, capsys):
  out = tmp_path / "out"
  before = prepare.run(PrepareConfig(source=str(toy)), out)
  made = prepare.run(PrepareConfig(source=str(toy), tfds=True), out)
  assert made.identity == before.identity
  assert f"TFDS data sets in {out / 'tfds'}" in capsys.readouterr().out
  from genret.corpora import tfds_builder

  builder = tfds_builder.open_builder(out / "tfds", "judgements")
  counts = {s: i.num_examples for s, i in builder.info.splits.items()}
  assert counts == {
    split: sum(map(len, made.qrels(split).values())) for split in made.splits
  }
  manifest = artifacts.verify(out / "tfds")
  assert manifest.inputs == {"collection": made.identity}


def test_tensorflow_is_loaded_for_tfds_alone(toy, tmp_path):
  code = (
    "import sys\n"
    "from pathlib import Path\n"
    "from genret.stages import prepare\n"
    "config = prepare.PrepareConfig(source=sys.argv[1])\n"
    "prepare.run(config, Path(sys.argv[2]))\n"
    "assert not {'tensorflow', 'seqio', 'jax'} & set(sys.modules)\n"
  )
  given = [sys.executable, "-c", code, str(toy), str(tmp_path / "out")]
  subprocess.run(given, check=True)


def test_wrong_settings_say_so(tmp_path):
  with pytest.raises(ConfigError, match="'DirectRunner'.*tfds is False; set"):
    PrepareConfig(beam_runner="DirectRunner")
  with pytest.raises(ConfigError, match="dev_share is at least 0"):
    PrepareConfig(dev_share=1.0)
  with pytest.raises(ConfigError, match="no collection 'squat'.*mean 'squad'"):
    prepare.run(PrepareConfig(source="squat"), tmp_path / "out")
  with pytest.raises(ConfigError, match="on_error is 'ignore'"):
    prepare.run(PrepareConfig(on_error="ignore"), tmp_path / "out")


def test_cranfield_without_its_empty_documents(tmp_path):
  path = SHARED / "cranfield.tar.xz"
  if not path.exists():
    pytest.skip(f"the real collections are not beside this checkout: {path}")
  config = PrepareConfig(source=str(path), on_error="skip")
  made = prepare.run(config, tmp_path / "out")
  assert made.num_documents == 1398
  assert len(made.qrels("test")) == 225
  assert made.summary["skipped"]["document: empty text"] == 2
  assert made.summary["coverage"] is None


def kilt_folder(root, *, anchors):
  root.mkdir()
  pages = {"1": "Tower", "2": "River", "3": "Bridge"}
  jsonl(
    root / "kilt_knowledgesource.json",
    [
      {
        "wikipedia_id": page,
        "wikipedia_title": title,
        "text": [f"{title}\n", f"About a {title}.\n", "Section::::More.\n"],
        "anchors": [
          {"paragraph_id": 1, "start": 8, "end": 12, "wikipedia_id": target}
          for target in anchors.get(page, ())
        ],
      }
      for page, title in pages.items()
    ],
  )
  jsonl(
    root / "nq-train-kilt.jsonl",
    [
      {
        "id": f"q{page}",
        "input": f"what of {title}",
        "output": [
          {"provenance": [{"wikipedia_id": page, "start_paragraph_id": 1}]}
        ],
      }
      for page, title in pages.items()
    ],
  )
  return str(root)


@pytest.mark.parametrize("unit", ["page", "paragraph"])
def test_links_of_kilt(tmp_path, capsys, unit):
  anchors = {"1": ["2", "9"], "3": ["1", None]}
  source = functools.partial(
    kilt.read, kilt_folder(tmp_path / "kilt", anchors=anchors), unit=unit
  )
  prepared = prepare.run(PrepareConfig(source=source), tmp_path / "out")
  line = (
    "  links: 2 between 3 pages; left out 1 that lead out of the corpus, 1"
    " that name no page, 0 in no paragraph"
  )
  assert line in capsys.readouterr().out
  pages = list(prepared.links())
  assert [(p.page, p.title, p.rows) for p in pages] == [
    ("1", "Tower", (0,)),
    ("2", "River", (1,)),
    ("3", "Bridge", (2,)),
  ]
  assert pages[0].paragraphs[0].text == "About a Tower."
  assert [[a.row for a in p.anchors] for p in pages] == [[1], [], [0]]
  docnos = {"page": ["1", "2", "3"], "paragraph": ["1-1", "2-1", "3-1"]}
  assert list(prepared.docnos) == docnos[unit]
  assert prepared.qrels("train")["q1"] == {docnos[unit][0]: 1}


def test_kilt_without_anchors_is_as_it_was(tmp_path):
  source = kilt_folder(tmp_path / "kilt", anchors={})
  prepared = prepare.run(PrepareConfig(source=source), tmp_path / "out")
  assert "links" not in prepared.summary
  # As made before links were kept.
  assert prepared.identity == PLAIN_KILT
