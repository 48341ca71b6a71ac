"""`genret study`: a grid of experiments, resumable, and its tables."""

from typing import Any

from genret.cli.command import Flag, StageCommand


def filters(text: str) -> tuple[str, ...]:
  """Reads filters, parted by semicolons.

  >>> filters("collection=squad,docids=atomic;inputs=d2q")
  ('collection=squad,docids=atomic', 'inputs=d2q')
  """
  return tuple(part for part in text.split(";") if part)


def _report(outcome: Any, given: dict[str, Any]) -> str:
  if not outcome.text or given["wanted"].dry_run:
    return outcome.text
  workdir = given["workdir"]
  return (
    f"{outcome.text}\n"
    f"wrote {workdir}: results.md, results.csv, results.json\n"
    f"next: genret report {workdir}"
  )


COMMAND = StageCommand(
  name="study",
  stage="genret.studies.study",
  description="""\
Runs the cells of a grid: what they share once (the collection, vectors, docids,
generated queries), a short calibration of each setting, then training,
searching and evaluation of each cell, as commands of genret with a core each.
Killed at any moment, the same command goes on. A cell that fails is listed with
its error and does not stop the others; the exit code is 1 then. results.md and
results.csv are made in the end, and by --report at any time.""",
  example="""\
  genret study --gin_file=studies/inputs/study.gin --workdir=study --dry_run
  genret study --gin_file=studies/inputs/study.gin --workdir=study --jobs=2
  genret study --gin_file=studies/inputs/study.gin --workdir=study \\
    --only="collection=squad,docids=atomic;inputs=labelled" --shard=1/2
  genret study --gin_file=studies/inputs/study.gin --workdir=study --report""",
  flags=(
    Flag(name="workdir", help="where everything goes"),
    Flag(name="jobs", help="cells at a time, a core each", type=int),
    Flag(
      name="only",
      help="cells: AXIS=CHOICE,AXIS=CHOICE, other filters after a semicolon",
      type=filters,
    ),
    Flag(name="shard", help="i/n: every n-th cell from the i-th on"),
    Flag(name="dry_run", help="whether cells are only listed", type=bool),
    Flag(name="report", help="whether tables are only made", type=bool),
    Flag(
      name="keep_models",
      help="whether checkpoints of finished cells stay",
      type=bool,
    ),
  ),
  report=_report,
)
