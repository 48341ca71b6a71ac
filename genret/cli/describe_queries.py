"""`genret describe_queries`: what synthetic queries are like."""

from pathlib import Path
from typing import Any

from genret.cli.command import COLLECTION, Flag, StageCommand


def named_sets(text: str) -> dict[str, str]:
  """Reads `name=path,path`: a set without a name takes its path's.

  >>> named_sets("mine=queries.tsv,data/squad-d2q")
  {'mine': 'queries.tsv', 'squad-d2q': 'data/squad-d2q'}
  """
  sets = {}
  for part in text.split(","):
    name, equals, path = part.partition("=")
    if not equals:
      name, path = Path(part).name.partition(".")[0], part
    if not name or not path or name in sets:
      raise ValueError(part)
    sets[name] = path
  return sets


def written(report: Any, given: dict[str, Any]) -> str:
  """Returns the tables of a report, and where they and figures lie."""
  from genret.querygen import plots

  paths = [f"{given['out']}/report.md", *map(str, report.files)]
  lines = [report.text, "", f"wrote {', '.join(paths)}"]
  if not report.files and not plots.available():
    lines.append(f"there are no figures without matplotlib: {plots.INSTALL}")
  return "\n".join(lines)


COMMAND = StageCommand(
  name="describe_queries",
  stage="genret.stages.describe_queries",
  description="""\
Says what sets of synthetic queries are like, beside each other and beside the
collection's own training queries: how many, how long, how often they repeat
each other, how much of them is copied from their documents, and how many are
also asked in the collection. Writes report.md, summary.json and, with
matplotlib, report.png and report.svg.""",
  example="""\
  genret describe_queries --queries=data/squad-d2q --collection=data/squad \\
    --out=data/squad-d2q-report
  genret describe_queries --queries=t5=data/squad-d2q,mine=queries.tsv \\
    --collection=data/squad --out=compared""",
  flags=(
    Flag(
      name="queries",
      help="NAME=PATH,NAME=PATH, each a folder of queries or a file of"
      " docno<TAB>query; a path without a name takes the path's",
      type=named_sets,
    ),
    COLLECTION,
    Flag(name="out", help="the folder of the report"),
    Flag(
      name="near_duplicates",
      help="least share of common words of queries that repeat each other",
      type=float,
    ),
  ),
  report=written,
)
