"""`genret pretrain`: the weights of a T5 from the texts of collections."""

from pathlib import Path
from typing import Any

from genret.cli.command import DEVICE_FLAGS, Flag, StageCommand


def folders(text: str) -> tuple[str, ...]:
  """Reads the folders of collections.

  >>> folders("data/squad,data/tldr")
  ('data/squad', 'data/tldr')
  """
  found = tuple(part.strip() for part in text.split(","))
  if not all(found):
    raise ValueError(text)
  return found


def splits(text: str) -> tuple[str, ...]:
  """Reads names of splits; none at all is allowed.

  >>> splits("test,dev"), splits("")
  (('test', 'dev'), ())
  """
  return folders(text) if text else ()


def _report(folder: Path, given: dict[str, Any]) -> str:
  """Says it once, however many processes trained."""
  from genret.training import cluster

  if not cluster.is_first():
    return ""
  return (
    f"wrote {folder}\n"
    f"next: genret train --initial_checkpoint_path={folder} \\\n"
    "  --collection=COLLECTION --docids=DOCIDS --model_dir=MODEL, with the same"
    " --gin_file=models/… as here"
  )


COMMAND = StageCommand(
  name="pretrain",
  stage="genret.stages.pretrain",
  description="""\
Trains a T5 on the texts of prepared collections by span corruption, T5's own
objective, before it sees any query or docid. Documents that test and dev
queries ask for are left out and counted; a share of the others is held out,
and the loss on it makes curve.json. Killed at any moment, the same command
goes on from the last whole checkpoint and ends with the same parameters.
The folder is what genret train --initial_checkpoint_path starts from. See
docs/pretraining.md.""",
  example="""\
  genret pretrain --collections=data/squad,data/tldr --out=models/t5-tiny \\
    --train_steps=2000
  genret pretrain --gin_file=runs/pretrain.gin \\
    --gin_file=models/t5_1_1_mini.gin --collections=data/taxa_wiki \\
    --out=models/t5-mini --dtype=bfloat16""",
  flags=(
    Flag(
      name="collections",
      help="folders of genret prepare, with commas between",
      type=folders,
    ),
    Flag(name="out", help="the folder of the weights"),
    Flag(
      name="excluded_splits",
      help="splits whose relevant documents are left out",
      type=splits,
    ),
    Flag(name="inputs_length", help="ids of a row of inputs", type=int),
    Flag(name="train_steps", help="optimizer steps", type=int),
    Flag(name="batch_size", help="rows a step", type=int),
    Flag(name="learning_rate", help="at the end of the warm-up", type=float),
    Flag(name="warmup_steps", help="up to that rate", type=int),
    Flag(name="dropout_rate", help="of every layer", type=float),
    Flag(name="eval_period", help="steps between evaluations", type=int),
    Flag(name="dtype", help="of the weights in the end: float32 or bfloat16"),
    *DEVICE_FLAGS,
    Flag(name="seed", help="of parameters, dropout, order and noise", type=int),
  ),
  report=_report,
)
