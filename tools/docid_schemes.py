"""Every docid scheme, with and without the constraint, in one table.

A row is a scheme and a folder: its docids and their figures, a model trained
on one core, and two searches of the test questions, one along the trie and one
that writes what it likes. All rows take the same steps on the same pairs, those
of gin_configs/studies/docids/tldr.gin. A row that finds under 95 % of its
training pairs says so: it is under-trained, and its place means nothing.

The search that writes what it likes has K beams, and where docids have several
lengths and no EOS, K beams for each length: such rows search more there.

  python tools/docid_schemes.py --workdir=WORKDIR --source=tldr.tar.xz
  python tools/docid_schemes.py --workdir=WORKDIR --only=title --only=url
  python tools/docid_schemes.py --workdir=WORKDIR --report

Killed at any moment, the same command goes on: what stands is not made again.
The table is of the rows that have a result, WORKDIR/rows/NAME/row.json.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docid_schemes_settings as kept
import docid_schemes_table as table
from docid_schemes_rows import ROWS, Row

from genret.core import artifacts, runs
from genret.core.collection import Collection
from genret.core.errors import suggest
from genret.evaluation import measures, significance
from genret.stages import memorised
from genret.stages.docids import QUALITY
from genret.studies.commands import Commands, FailedError

STEPS = 600
LOOKS, DEV = 4, 256  # at dev in a run, and its questions
K, BEAMS = 10, 10
PAIRS = 2000  # of training, searched in the end
RESULT = "row.json"
SEARCHES = {"constrained": (), "free": ("--constrained=False",)}


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the rows that are wanted and prints the table."""
  parser = _parser()
  given = parser.parse_args(argv)
  for name in given.only:
    if name not in ROWS:
      parser.error(f"--only={name} names no row.{suggest(name, ROWS)}")
  wanted = [row for row in ROWS.values() if row.name in (given.only or ROWS)]
  workdir = given.workdir.absolute()
  failed = []
  if not given.report:
    commands = Commands(_say)
    _prepare(commands, workdir, source=given.source, core=given.core)
    for row in wanted:
      try:
        run(commands, workdir, row, given)
      except FailedError as error:
        failed.append(f"{row.name}: {error}")
        _say(failed[-1])
  print(table.table(read(workdir)))
  for line in failed:
    print(line, file=sys.stderr)
  return 1 if failed else 0


def run(
  commands: Commands, workdir: Path, row: Row, given: argparse.Namespace
) -> None:
  """Makes a row, as far as it does not stand.

  Args:
    commands: Runs genret.
    workdir: Where the collection and the vectors are.
    row: The row.
    given: `steps`, `seed`, `core` and `keep_models`.

  Raises:
    FailedError: A command failed; says where it wrote why. Or what stands
      was made with other settings.
  """
  folder = workdir / "rows" / row.name
  kept.keep(folder, settings(row, given))
  if (folder / RESULT).exists():
    return
  spent = _spent(folder)
  for name, arguments in stages(row, workdir, given):
    done = folder / f"{name}.done"
    if done.exists():
      continue
    _say(f"{row.name}: {name}")
    log = folder / f"{name}.log"
    spent[name] = spent.get(name, 0.0) + commands.run(
      arguments, log=log, core=given.core
    )
    artifacts.write_json(folder / "spent.json", spent)
    artifacts.write_text(done, "")
  artifacts.write_json(
    folder / RESULT,
    {
      "settings": settings(row, given),
      "quality": _json(folder / "docids" / QUALITY),
      "memorised": _json(folder / "model" / memorised.FILE),
      "measures": {
        name: measured(folder / f"{name}.trec", workdir) for name in SEARCHES
      },
      "cpu_seconds": spent,
    },
  )
  if not given.keep_models:
    shutil.rmtree(folder / "model")


def settings(row: Row, given: argparse.Namespace) -> dict[str, Any]:
  """Returns all that the results of a row depend on, as JSON has it."""
  return {
    "row": row.arguments,
    "study": row.study,
    "gin": kept.gin_text(["runs/docids.gin", row.scheme_file, row.study]),
    "steps": given.steps,
    "seed": given.seed,
    "K": K,
    "BEAMS": BEAMS,
    "LOOKS": LOOKS,
    "DEV": DEV,
    "PAIRS": PAIRS,
  }


def stages(
  row: Row, workdir: Path, given: argparse.Namespace
) -> list[tuple[str, list[str]]]:
  """Lists the commands of a row, by name."""
  folder = workdir / "rows" / row.name
  collection = f"--collection={workdir / 'collection'}"
  model = f"--model_dir={folder / 'model'}"
  train = [
    "train",
    f"--gin_file={row.study}",
    collection,
    f"--docids={folder / 'docids'}",
    model,
    f"--train_steps={given.steps}",
    f"--eval_period={max(given.steps // LOOKS, 1)}",
    f"--seed={given.seed}",
    f"--gin.DevConfig.num_queries={DEV}",
    f"--gin.TrainConfig.memorised_pairs={PAIRS}",
  ]
  docids = [
    "docids",
    "--gin_file=runs/docids.gin",
    *row.arguments,
    collection,
    f"--embeddings={workdir / 'embeddings'}",
    f"--seed={given.seed}",
    f"--out={folder / 'docids'}",
  ]
  search = ["retrieve", model, collection, f"--k={K}", f"--num_beams={BEAMS}"]
  return [
    ("docids", docids),
    ("train", train),
    *(
      (name, [*search, f"--out={folder / name}.trec", *flags])
      for name, flags in SEARCHES.items()
    ),
  ]


def measured(run_file: Path, workdir: Path) -> dict[str, Any]:
  """Measures a run, and how many of ten documents it finds a query.

  `interval` is the 95 % bootstrap interval of the first measure.
  """
  found = runs.read_trec(run_file)
  qrels = Collection.open(workdir / "collection").qrels("test")
  evaluation = measures.evaluate(found, qrels, measures=table.MEASURES)
  interval = significance.bootstrap_interval(
    list(evaluation.per_query[table.MEASURES[0]].values())
  )
  return {
    **evaluation.means,
    "interval": [interval.low, interval.high],
    "hits": sum(len(hits) for hits in found.values()) / len(qrels),
  }


def read(workdir: Path) -> dict[str, dict]:
  """Reads the results there are, in the order of the rows."""
  paths = {name: workdir / "rows" / name / RESULT for name in ROWS}
  return {name: _json(path) for name, path in paths.items() if path.exists()}


def _spent(folder: Path) -> dict[str, float]:
  path = folder / "spent.json"
  return _json(path) if path.exists() else {}


def _json(path: Path) -> dict[str, Any]:
  return json.loads(path.read_text("utf-8"))


def _prepare(
  commands: Commands, workdir: Path, *, source: Path, core: int
) -> None:
  """Makes the collection and its vectors, once."""
  collection, vectors = workdir / "collection", workdir / "embeddings"
  for out, arguments in (
    (collection, ["prepare", f"--source={source}"]),
    (vectors, ["embed", f"--collection={collection}"]),
  ):
    if not (out / artifacts.MANIFEST).exists():
      _say(arguments[0])
      log = workdir / f"{arguments[0]}.log"
      commands.run([*arguments, f"--out={out}"], log=log, core=core)


def _say(line: str) -> None:
  print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--workdir", type=Path, required=True)
  parser.add_argument(
    "--source",
    type=Path,
    default=Path("../shared/data/collections/tldr.tar.xz"),
    help="the archive of tldr, in BEIR's layout",
  )
  parser.add_argument(
    "--only", action="append", default=[], help="a row; may be repeated"
  )
  parser.add_argument("--steps", type=int, default=STEPS)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--core", type=int, default=0, help="the one to use")
  parser.add_argument(
    "--keep_models", action="store_true", help="when they have been searched"
  )
  parser.add_argument(
    "--report", action="store_true", help="print the table of what stands"
  )
  return parser


if __name__ == "__main__":
  sys.exit(main())
