"""`genret filter`: the synthetic queries that find their document."""

from typing import Any

from genret.cli.command import COLLECTION, Flag, StageCommand
from genret.cli.describe_queries import written


def _report(report: Any, given: dict[str, Any]) -> str:
  return (
    f"{written(report, given)}\n"
    "next: genret train --gin_file=runs/train.gin"
    " --gin_file=tasks/d2q_labelled.gin \\\n"
    f"  --collection={given['collection'].root} --gin.QUERIES={given['out']}"
    " \\\n  --docids=DOCIDS --model_dir=MODEL"
  )


COMMAND = StageCommand(
  name="filter",
  stage="genret.stages.filter_queries",
  description="""\
Searches each synthetic query (the round trip) and keeps it when the document
that it was made for comes back among the first k; a document of the same text
counts as the document. Of what a document keeps, queries that repeat or nearly
repeat one before them go as well. Writes queries.jsonl, the others in
dropped.jsonl, counts of each document in documents.tsv, and how many were kept
and what both are like (lengths, copies from the text, overlap with the
collection's own queries) in report.md, summary.json and, with matplotlib,
report.png and report.svg. Killed at any moment, the same command goes on. See
docs/querygen.md.""",
  example="""\
  genret filter --queries=data/squad-d2q --collection=data/squad \\
    --out=data/squad-d2q-bm25
  genret filter --queries=queries.tsv --collection=data/squad \\
    --by=models/squad-atomic --k=3 --keep_best --out=data/squad-d2q-atomic""",
  flags=(
    Flag(
      name="queries",
      help="a folder of genret generate or prompt, or a file of"
      " docno<TAB>query",
    ),
    COLLECTION,
    Flag(name="out", help="the folder of the queries that stay"),
    Flag(name="by", help="bm25, dense, or a folder of genret train"),
    Flag(name="k", help="a query stays if its document is so near", type=int),
    Flag(
      name="depth",
      help="documents searched a query, to know more rates; k by default",
      type=int,
    ),
    Flag(
      name="keep_best",
      help="whether a document that would lose all queries keeps the best",
      type=bool,
    ),
    Flag(
      name="near_duplicates",
      help="least share of common words of queries that repeat each other",
      type=float,
    ),
    Flag(
      name="embeddings",
      help="a folder of genret embed, for --by=dense, which else makes it",
    ),
    Flag(name="checkpoint", help="of a model: 'best', 'newest', or a step"),
    Flag(
      name="num_beams",
      help="of a model; 10, or depth if that is more",
      type=int,
    ),
  ),
  report=_report,
)
