"""`genret generator`: models that write queries, one a fold of documents."""

from pathlib import Path
from typing import Any

from genret.cli.command import COLLECTION, DEVICE_FLAGS, Flag, StageCommand


def _report(folder: Path, given: dict[str, Any]) -> str:
  """Says it once, however many processes trained."""
  from genret.training import cluster

  if not cluster.is_first():
    return ""
  return (
    f"wrote {folder}\n"
    f"next: genret generate --collection={given['collection'].root}"
    f" --generator={folder} --out=QUERIES"
  )


COMMAND = StageCommand(
  name="generator",
  stage="genret.stages.generator",
  description="""\
Trains a T5 to write a query for a document, on the judged training pairs of a
collection read backwards. Cross-fitted: documents are divided into folds by
the hash of their docno, and for each fold a model is trained on the pairs of
all others, so no document's queries come from a model that saw its labels.
With --grades the grade of each judgement stands before the document, and can
be asked for. Killed at any moment, the same command goes on from the last
whole checkpoint. See docs/querygen.md.""",
  example="""\
  genret generator --collection=data/squad --out=models/squad-d2q
  genret generator --gin_file=runs/generator.gin \\
    --gin_file=models/t5_1_1_small.gin --collection=data/squad \\
    --initial_checkpoint_path=models/t5-small --out=models/squad-d2q""",
  flags=(
    COLLECTION,
    Flag(name="out", help="the folder of the generator"),
    Flag(name="folds", help="of documents; 1 trains one model", type=int),
    Flag(
      name="grades",
      help="whether the grade of a pair stands before its document",
      type=bool,
    ),
    Flag(
      name="initial_checkpoint_path",
      help="weights to start from: a folder of genret convert or pretrain",
    ),
    Flag(
      name="cache_states",
      help="whether what a frozen encoder makes of the documents is computed"
      " once",
      type=bool,
    ),
    Flag(name="inputs_length", help="most ids of a document", type=int),
    Flag(name="targets_length", help="most ids of a query", type=int),
    Flag(name="train_steps", help="optimizer steps of each fold", type=int),
    Flag(name="batch_size", help="rows a step", type=int),
    Flag(name="learning_rate", help="at the end of the warm-up", type=float),
    Flag(name="dropout_rate", help="of every layer", type=float),
    Flag(name="eval_period", help="steps between evaluations", type=int),
    Flag(name="dtype", help="of the weights in the end: float32 or bfloat16"),
    *DEVICE_FLAGS,
    Flag(name="seed", help="of parameters, dropout and order", type=int),
  ),
  report=_report,
)
