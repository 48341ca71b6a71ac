import functools
import itertools
import pathlib

import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ArtifactError, ConfigError, DataError
from genret.corpora import beir
from genret.corpora.published import Published
from genret.evaluation import splits
from genret.stages import ladder, prepare
from genret.stages.ladder import LadderConfig

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data" / "collections"
NUM_DOCUMENTS = 300


def make(folder, seed=0):
  """300 documents, some of equal text; two in five have a training query."""
  rng = np.random.default_rng(seed)
  qrels = {"train": {}, "dev": {}, "test": {}, "extra": {}}
  sizes = {"train": 120, "dev": 30, "test": 40, "extra": 3}
  for split, size in sizes.items():
    last = 200 if split == "train" else NUM_DOCUMENTS
    for i in range(size):
      judged = rng.choice(last, rng.integers(1, 4), replace=False)
      grades = {f"d{row}": int(rng.integers(0, 3)) for row in judged}
      qrels[split][f"{split}{i}"] = grades
  recipe = artifacts.Recipe(
    stage=collection.STAGE,
    arguments={"name": "toy"},
    seed=seed,
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(
      draft,
      documents=[
        Document(docno=f"d{i}", title="T", text=f"text {i % 250}")
        for i in range(NUM_DOCUMENTS)
      ],
      queries=[
        Query(query_id=query_id, text=f"of {query_id}")
        for judged in qrels.values()
        for query_id in judged
      ],
      qrels=qrels,
    )
  return Collection.open(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  return make(tmp_path_factory.mktemp("source") / "toy")


CONFIG = LadderConfig(
  rungs=["all", 100, "0.2k"], dev_queries=10, test_queries=15
)


@pytest.fixture(scope="module", params=["collection", "paper"])
def made(source, tmp_path_factory, request):
  config = LadderConfig(
    rungs=CONFIG.rungs, dev_queries=10, test_queries=15, like=request.param
  )
  return ladder.run(config, source, tmp_path_factory.mktemp("ladder"))


def positives(qrels):
  return {
    query: {docno for docno, grade in judged.items() if grade >= 1}
    for query, judged in qrels.items()
  }


def test_rungs_are_collections(made, source):
  assert [r.root.name for r in made.rungs] == ["100", "200", "all"]
  texts = {document.docno: document for document in source.documents()}
  below = set()
  for rung in made.rungs:
    opened = Collection.open(rung.root)
    docnos = list(opened.docnos)
    assert opened.num_documents == len(docnos)
    assert list(opened.documents()) == [texts[docno] for docno in docnos]
    assert list(opened.documents([5, 2])) == [texts[docnos[i]] for i in (5, 2)]
    assert below < set(docnos)
    below = set(docnos)
    assert opened.name == f"toy-{rung.root.name}"
    artifacts.verify(rung.root)
  assert opened.docnos == source.docnos


def test_the_same_queries_on_every_rung_with_all_their_positives(made, source):
  asked = {"dev": 10, "test": 15, "extra": None}
  for split, size in asked.items():
    known = positives(source.qrels(split))
    found = [positives(rung.qrels(split)) for rung in made.rungs]
    assert all(f == {query: known[query] for query in f} for f in found)
    assert found[0] == found[1] == found[2]
    answered = sum(bool(docnos) for docnos in known.values())
    assert len(found[0]) == min(size or answered, answered)


def test_judgements_are_those_of_its_documents(made, source):
  for rung, split in itertools.product(made.rungs, source.splits):
    here, known = set(rung.docnos), source.qrels(split)
    for query, judged in rung.qrels(split).items():
      expected = {d: g for d, g in known[query].items() if d in here}
      assert judged == expected
    if split == "train":
      answered = [q for q, docnos in positives(known).items() if docnos & here]
      assert list(rung.qrels(split)) == answered
    judged = [q.query_id for q in rung.queries(split)]
    assert judged == list(rung.qrels(split))


def test_figures_equal_a_count_by_hand(made, source):
  for rung in [*made.rungs]:
    figures, documents = rung.summary, list(rung.documents())
    assert figures["documents"] == len(documents)
    trained = set().union(*positives(rung.qrels("train")).values())
    assert figures["covered"] == len(trained & set(rung.docnos))
    expected = splits.coverage(rung.qrels("train"), rung.qrels("test"))
    assert figures["coverage"] == pytest.approx(expected)
    texts = {document.contents for document in documents}
    assert figures["duplicates"] == len(documents) - len(texts)
    assert figures["queries"] == len(list(rung.queries()))
    for split in rung.splits:
      assert figures["splits"][split]["queries"] == len(rung.qrels(split))
      count = sum(map(len, rung.qrels(split).values()))
      assert figures["splits"][split]["judgements"] == count
  whole = figures["collection"]
  expected = splits.coverage(source.qrels("train"), source.qrels("test"))
  assert whole["coverage"] == pytest.approx(expected)
  assert whole["duplicates"] == 50 and whole["documents"] == 300


def test_test_coverage_is_the_same_on_all_rungs(made):
  assert len({rung.summary["coverage"] for rung in made.rungs}) == 1


def test_the_table_tells_what_differs(source, made, capsys):
  lines = made.table().splitlines()
  assert lines[0].split("  ")[-1] == "checksum"
  assert [line.split()[0] for line in lines[1:5]] == [
    "toy",
    "100",
    "200",
    "all",
  ]
  figures = made.rungs[0].summary
  share = figures["covered"] / figures["documents"]
  assert f"{100 * share:.1f} %" in lines[2]
  assert figures["checksum"][:12] in lines[2]
  whole = figures["collection"]["covered"] / NUM_DOCUMENTS
  differs = abs(share - whole) * figures["documents"] > 0.5
  assert differs == any(line.startswith("100: ") for line in lines[5:])


def test_a_second_run_makes_nothing_and_a_rung_needs_no_other(source, tmp_path):
  first = ladder.run(CONFIG, source, tmp_path / "ladder")
  stamps = [(r.root / "manifest.json").stat().st_mtime_ns for r in first.rungs]
  again = ladder.run(CONFIG, source, tmp_path / "ladder")
  assert stamps == [
    (r.root / "manifest.json").stat().st_mtime_ns for r in again.rungs
  ]
  alone = LadderConfig(rungs=["200"], dev_queries=10, test_queries=15)
  one = ladder.run(alone, source, tmp_path / "alone")
  assert one.rungs[0].identity == first.rungs[1].identity


def test_other_settings_do_not_overwrite(source, tmp_path):
  ladder.run(CONFIG, source, tmp_path)
  other = LadderConfig(
    rungs=[100], dev_queries=10, test_queries=15, like="paper"
  )
  with pytest.raises(ArtifactError, match="argument like is"):
    ladder.run(other, source, tmp_path)


def test_the_same_command_finds_a_moved_collection(tmp_path):
  before = make(tmp_path / "a" / "toy")
  made = ladder.run(CONFIG, before, tmp_path / "ladder")
  before.root.rename(tmp_path / "b")
  with pytest.raises(ArtifactError, match="genret ladder"):
    Collection.open(made.rungs[0].root)
  moved = Collection.open(tmp_path / "b")
  again = ladder.run(CONFIG, moved, tmp_path / "ladder")
  assert again.rungs[0].identity == made.rungs[0].identity
  assert len(list(Collection.open(made.rungs[0].root).documents())) == 100


def test_a_rung_can_have_rungs(made, tmp_path):
  inner = LadderConfig(rungs=[60], dev_queries=2, test_queries=3)
  found = ladder.run(inner, made.rungs[1], tmp_path).rungs[0]
  assert set(found.docnos) < set(made.rungs[1].docnos)
  assert [d.docno for d in found.documents()] == list(found.docnos)


def test_a_published_list(source, tmp_path, capsys):
  path = tmp_path / "theirs.txt"
  path.write_text("".join(f"d{i}\n" for i in range(99, -1, -1)))
  tested = tmp_path / "test.tsv"
  tested.write_text("".join(f"{q}\n" for q in source.qrels("dev")))
  published = Published(
    docnos=str(path),
    name="their-hundred",
    queries={"test": str(tested)},
    expected={"documents": 100},
  )
  config = LadderConfig(published=published)
  (found,) = ladder.run(config, source, tmp_path / "out").rungs
  assert list(found.docnos) == [f"d{i}" for i in range(100)]
  assert found.root.name == found.name == "their-hundred"
  assert found.splits == ("test",)
  here = set(found.docnos)
  dev = positives(source.qrels("dev"))
  assert set(found.qrels("test")) == {q for q in dev if dev[q] & here}
  left = len(dev) - len(found.qrels("test"))
  shown = capsys.readouterr().out
  assert f"test queries without a positive in the list: {left}" in shown
  path.write_text("d7\n")
  with pytest.raises(ArtifactError, match="input docnos is"):
    ladder.run(config, source, tmp_path / "out")


def test_what_cannot_be(source, tmp_path):
  with pytest.raises(ConfigError, match="No rung is asked for"):
    ladder.run(LadderConfig(), source, tmp_path)
  with pytest.raises(ConfigError, match="the collection has 300 documents"):
    ladder.run(LadderConfig(rungs=["1k"]), source, tmp_path)
  with pytest.raises(ConfigError, match="cannot hold the"):
    ladder.run(LadderConfig(rungs=["5"]), source, tmp_path)
  with pytest.raises(ConfigError, match="test_queries is at least 1"):
    LadderConfig(test_queries=0)
  with pytest.raises(DataError, match="no such list"):
    config = LadderConfig(published=Published(docnos=f"{tmp_path}/none"))
    ladder.run(config, source, tmp_path)
  assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared/data is not here")
@pytest.mark.parametrize("name", ["boolq_passage", "tldr"])
def test_real_collections(name, tmp_path):
  read = functools.partial(beir.read, SHARED / f"{name}.tar.xz")
  source = prepare.run(prepare.PrepareConfig(source=read), tmp_path / name)
  config = LadderConfig(rungs=["1k", "all"], dev_queries=50, test_queries=60)
  small, whole = ladder.run(config, source, tmp_path / "ladder").rungs
  assert small.num_documents == 1000 and whole.docnos == source.docnos
  different = {document.contents for document in source.documents()}
  duplicates = source.num_documents - len(different)
  assert whole.summary["duplicates"] == duplicates
  assert duplicates > 0 or name != "tldr"
  rows = source.docnos.rows(small.docnos)
  assert (np.diff(rows) > 0).all()
  texts = [document.contents for document in source.documents(rows)]
  assert [document.contents for document in small.documents()] == texts
  for split, size in (("dev", 50), ("test", 60)):
    assert len(small.qrels(split)) == size
    assert positives(small.qrels(split)) == positives(whole.qrels(split))
  assert small.summary["coverage"] == whole.summary["coverage"]
  expected = splits.coverage(small.qrels("train"), small.qrels("test"))
  assert small.summary["coverage"] == pytest.approx(expected)


def test_a_seed_below_zero_is_refused():
  with pytest.raises(ConfigError, match="seed is at least 0; -1 came"):
    LadderConfig(rungs=["10"], seed=-1)
