"""A small study, not run and as if it had been."""

import dataclasses
import json
from pathlib import Path

import pytest

from genret.core import artifacts, collection, runs
from genret.core.collection import Document, Query
from genret.studies.cells import Worker
from genret.studies.commands import Commands
from genret.studies.grid import Choice, Rule, Study
from genret.studies.layout import Layout
from genret.studies.settings import Reader

TOPICS = ("cat", "dog", "ship", "river")
COVERED = TOPICS[:3]


@pytest.fixture
def study():
  """Two kinds of docids and two inputs; two seeds on one collection."""
  return Study(
    axes={
      "collection": {
        "toy": Choice(flags={"prepare": ("--source=toy",)}, documents=4),
        "other": Choice(flags={"prepare": ("--source=other",)}, seeds=(0,)),
      },
      "docids": {
        "atomic": Choice(flags={"docids": ("--atomic",)}),
        "semantic": Choice(
          flags={"docids": ("--embeddings={vectors}",)},
          symbols=8,
          knows="vectors",
        ),
      },
      "inputs": {
        "labelled": Choice(flags={"train": ("--gin_file=x_{docids}.gin",)}),
        "d2q": Choice(
          flags={"train": ("--gin.QUERIES={queries}",)},
          values={"queries": "q.jsonl"},
          exposures=50.0,
        ),
      },
    },
    seeds=(0, 1),
    rules=(
      Rule(
        when={"docids": "atomic", "inputs": "labelled"},
        choice=Choice(flags={"train": ("--embeddings={vectors}",)}),
      ),
      Rule(when={"collection": "other", "docids": "semantic"}),
    ),
    looks=2,
    memorised=0.9,
    notes={"vectors": "learned elsewhere"},
  )


@pytest.fixture
def layout(study, tmp_path):
  return Layout(study=study, workdir=tmp_path / "work")


@pytest.fixture
def said():
  """What has been logged."""
  return []


@pytest.fixture
def worker(layout, said):
  return Worker(
    layout=layout,
    reader=Reader(layout, None),
    commands=Commands(said.append),
  )


@pytest.fixture
def cell_of(study):
  """Returns the function from choices to a cell; docids are atomic."""

  def find(inputs="labelled", seed=0, docids="atomic", collection="toy"):
    wanted = {"collection": collection, "docids": docids, "inputs": inputs}
    [found] = [
      cell
      for cell in study.cells()
      if cell.chosen == wanted and cell.seed == seed
    ]
    return found

  return find


@pytest.fixture
def prepared(layout):
  """Writes the collection: four documents, three with a training query."""
  root = layout.workdir / "shared" / "prepare" / "toy"
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  asked = {"train": COVERED, "test": TOPICS}
  with artifacts.building(root, recipe) as draft:
    collection.write(
      draft,
      documents=[Document(docno=t, title="", text=t) for t in TOPICS],
      queries=[
        Query(query_id=f"{split}-{t}", text=f"{split} {t}")
        for split, topics in asked.items()
        for t in topics
      ],
      qrels={
        split: {f"{split}-{t}": {t: 1} for t in topics}
        for split, topics in asked.items()
      },
    )
  return root


@pytest.fixture
def add_baseline(study, worker, write_run):
  """Returns what writes a baseline's run as if it had been made."""

  def write(name, places, *, folder="toy"):
    """Writes it; the answer to each test query stands at its place."""
    study.axes["collection"]["toy"].flags["baselines"] = ("--x",)
    made = worker.layout.workdir / "shared" / "baselines" / folder
    write_run(made / name / "run.trec", places)
    [task] = [
      task
      for cell in study.cells()
      for task in worker.layout.beside(cell)
      if task.folder == made
    ][:1]
    artifacts.write_json(task.record, {"settings": worker.reader.task(task)})

  return write


@pytest.fixture
def finish(worker, prepared):
  """Returns what writes the files of a cell as if it had run."""

  def write(cell, places, *, hits=1.0, dev=(0.5, 0.5, 0.5)):
    """Writes them; the answer to each test query stands at its place."""
    folder = worker.layout.cell(cell)
    names = worker.layout.study.measures
    rows = {f"test-{t}": p for t, p in zip(TOPICS, places, strict=True)}
    values = {
      query: {
        "RR@10": 1 / place,
        "R@1": float(place == 1),
        "R@10": float(place <= 10),
      }
      for query, place in rows.items()
    }
    lines = ["\t".join(["system", "query-id", *names])]
    lines += [
      "\t".join(["cell", query, *(f"{found[name]:.9g}" for name in names)])
      for query, found in values.items()
    ]
    artifacts.write_text(
      folder / "evaluation" / "per_query.tsv", "\n".join(lines) + "\n"
    )
    mean = sum(1 / place for place in places) / len(places)
    artifacts.write_json(
      folder / "result.json",
      {
        "settings": worker.reader.cell(cell),
        "figures": {"all": {"RR@10": mean}},
        "memorised": {"Hits@1": hits, "pairs": 10},
        "dev": [{"RR@10": value} for value in dev],
        "steps": 100,
        "exposures": cell.exposures,
        "parameters": 1234,
        "cpu_minutes": 9.0 + cell.seed,
        "was_killed": False,
        "planned": {"documents": 4},
      },
    )

  return write


@pytest.fixture
def write_run():
  """Returns what writes a run where each query's answer stands at a place."""

  def write(path, places):
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {}
    for topic, place in zip(TOPICS, places, strict=True):
      docnos = [t for t in TOPICS if t != topic]
      docnos.insert(place - 1, topic)
      found[f"test-{topic}"] = [
        runs.Hit(docno=docno, score=-float(i)) for i, docno in enumerate(docnos)
      ]
    runs.write_trec(path, found, tag="toy")

  return write


@pytest.fixture
def with_axis(study):
  """Returns the study with other choices on an axis, and no rules."""

  def change(axis, **choices):
    axes = {**study.axes, axis: choices}
    return dataclasses.replace(study, axes=axes, rules=())

  return change


RESULTS = Path(__file__).parent / "data" / "results.json"
"""Of a study that never was: two rungs, two docids, two seeds, and BM25."""


@pytest.fixture(scope="session")
def study_results(tmp_path_factory):
  """Returns what writes results, changed or not, with run files, and reads."""
  from genret.studies import report_reader

  def write(change=lambda raw: None):
    folder = tmp_path_factory.mktemp("study")
    raw = json.loads(RESULTS.read_text())
    change(raw)
    artifacts.write_json(folder / report_reader.FILE, raw)
    for row in raw.get("rows", ()):
      for run in row.get("runs", ()):
        artifacts.write_text(folder / run, "q Q0 d 1 1.0 t\n")
    return report_reader.read(folder)

  return write


@pytest.fixture(scope="session")
def made_report(study_results):
  """The folder of a report with all plots, but for two without data."""
  from genret.studies import report

  results = study_results()
  report.run(results.folder)
  return results.folder
