"""`genret generate`: synthetic queries of a collection's documents."""

from typing import Any

from genret.cli.command import COLLECTION, Flag, StageCommand


def grades(text: str) -> tuple[int, ...]:
  """Reads grades; none at all is allowed.

  >>> grades("2,1"), grades("")
  ((2, 1), ())
  """
  return tuple(int(part) for part in text.split(",")) if text else ()


def _report(generated: Any, given: dict[str, Any]) -> str:
  counts = ", ".join(
    f"{name} {number:,}" for name, number in generated.summary["counts"].items()
  )
  return (
    f"wrote {generated.folder}: {counts}\n"
    "generated queries that are questions of the collection:\n"
    f"{generated.overlap}\n"
    "next: genret train --gin_file=runs/train.gin"
    " --gin_file=tasks/d2q_labelled.gin \\\n"
    f"  --collection={given['collection'].root}"
    f" --gin.QUERIES={generated.folder} \\\n"
    "  --docids=DOCIDS --model_dir=MODEL"
  )


COMMAND = StageCommand(
  name="generate",
  stage="genret.stages.generate",
  description="""\
Writes synthetic queries for every document of a collection: drawn from the
models of genret generator, each document's from the one that did not see its
labels, or from any T5.1.1 that writes queries, brought by genret convert. Long
documents are cut, empty ones skipped and counted. Killed at any moment, the
same command goes on with the first shard of documents that is missing, and
ends with the same bytes. How many generated queries are questions of the
collection is counted and printed. See docs/querygen.md.""",
  example="""\
  genret generate --collection=data/squad --generator=models/squad-d2q \\
    --out=data/squad-queries
  genret generate --collection=data/squad --generator=models/doc2query \\
    --out=data/squad-doc2query --num_queries=10 --duplicates=refill""",
  flags=(
    COLLECTION,
    Flag(
      name="generator",
      help="a folder of genret generator, or weights of genret convert",
    ),
    Flag(name="out", help="the folder of the queries"),
    Flag(name="num_queries", help="of each document", type=int),
    Flag(name="temperature", help="of the draws", type=float),
    Flag(name="top_k", help="likeliest symbols that are drawn from", type=int),
    Flag(name="max_length", help="most ids of a query", type=int),
    Flag(name="inputs_length", help="most ids of a document", type=int),
    Flag(
      name="grades",
      help="grades to ask for, with commas between; so many queries of each",
      type=grades,
    ),
    Flag(
      name="duplicates", help="keep, or refill: leave them out and draw again"
    ),
    Flag(name="batch_size", help="documents at a time", type=int),
    Flag(name="shard_size", help="documents a killed run loses", type=int),
    Flag(name="seed", help="of the draws", type=int),
  ),
  report=_report,
)
