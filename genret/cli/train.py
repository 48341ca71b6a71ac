"""`genret train`: a model folder from a collection and its docids."""

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
    f"next: genret retrieve --model_dir={folder}"
    f" --collection={given['collection'].root}"
  )


COMMAND = StageCommand(
  name="train",
  stage="genret.stages.train",
  description="""\
Trains a T5 to write the docids of a collection's documents, judging itself on
dev queries by real retrieval. The model folder holds all that a search needs:
model.json, docids, trie, checkpoints; and the configuration, event files for
TensorBoard. Killed at any moment, the same command goes on from the last whole
checkpoint and ends with the same parameters.

The work is split over all devices. Several processes train one model when each
is started with the same command and with GENRET_COORDINATOR=host:port of the
first, GENRET_NUM_PROCESSES and GENRET_PROCESS_ID in its environment; Slurm and
TPU pods need none of these. See docs/training.md.""",
  example="""\
  genret train --collection=data/squad --docids=data/squad-atomic \\
    --model_dir=models/squad-atomic
  genret train --gin_file=runs/train.gin \\
    --gin_file=models/t5_1_1_small.gin --gin_file=tasks/daq_labelled.gin \\
    --collection=data/squad --docids=data/squad-semantic \\
    --model_dir=models/squad-semantic --train_steps=20000""",
  flags=(
    COLLECTION,
    Flag(name="docids", help="a folder of genret docids"),
    Flag(name="model_dir", help="the model folder"),
    Flag(
      name="embeddings",
      help="a folder of genret embed, for atomic docids to start from",
    ),
    Flag(
      name="initial_checkpoint_path",
      help="weights to start from: a folder of genret convert or pretrain, or"
      " a finished model folder",
    ),
    Flag(
      name="cache_states",
      help="whether what a frozen encoder makes of the inputs is computed once",
      type=bool,
    ),
    Flag(
      name="states",
      help="a folder that keeps those for other runs; without it, they are"
      " removed at the end",
    ),
    Flag(name="train_steps", help="optimizer steps", type=int),
    Flag(name="batch_size", help="rows a step", type=int),
    Flag(name="learning_rate", help="at the end of the warm-up", type=float),
    Flag(name="dropout_rate", help="of every layer", type=float),
    Flag(name="eval_period", help="steps between evaluations", type=int),
    *DEVICE_FLAGS,
    Flag(
      name="seed", help="of parameters, dropout, order of examples", type=int
    ),
  ),
  report=_report,
)
