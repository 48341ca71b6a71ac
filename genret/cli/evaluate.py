"""`genret evaluate`: measures of run files, and a table of them."""

from pathlib import Path

from genret.cli.command import COLLECTION, Flag, StageCommand


def named_runs(text: str) -> dict[str, str]:
  """Reads `name=file,file`: a run without a name takes its file's.

  >>> named_runs("bm25=a/run.trec,b/mine.trec")
  {'bm25': 'a/run.trec', 'mine': 'b/mine.trec'}
  """
  runs = {}
  for part in text.split(","):
    name, equals, path = part.partition("=")
    if not equals:
      name, path = Path(part).stem, part
    if not path or name in runs:
      raise ValueError(part)
    runs[name] = path
  return runs


COMMAND = StageCommand(
  name="evaluate",
  stage="genret.stages.evaluate",
  description="""\
Measures run files against the judgements of a prepared collection, and writes
metrics.json and table.txt. A query without results scores zero and is counted.
With --baseline, a name of --runs, the other runs are tested against it. Runs of
other systems are run files as well; --judge adds figures by judgements of
another judge, a language model say, with a threshold of its own.""",
  example="""\
  genret evaluate --collection=data/squad --out=results --baseline=bm25 \\
    --runs=bm25=data/squad-baselines/bm25/run.trec,mine=mine.trec
  genret evaluate --collection=data/squad --out=judged --runs=mine.trec \\
    --judge=llm=llm.qrels:2""",
  flags=(
    COLLECTION,
    Flag(
      name="runs",
      help="run files, NAME=FILE,NAME=FILE; a file without a name takes the"
      " file's",
      type=named_runs,
    ),
    Flag(name="out", help="the folder of metrics.json and table.txt"),
    Flag(name="split", help="whose judgements: train, dev or test"),
    Flag(name="baseline", help="the run that others are tested against"),
    Flag(
      name="judge",
      help="judgements of others, NAME=FILE:GRADE,NAME=FILE:GRADE, relevant"
      " from GRADE on",
      type=named_runs,
    ),
    Flag(name="relevance", help="lowest grade that is relevant", type=int),
  ),
  report=lambda report, given: (
    f"{report.table()}\n\nwrote {given['out']}: metrics.json, table.txt"
  ),
)
