"""`genret dual_encoder`: the baseline that compares vectors, trained here."""

from genret.cli import train
from genret.cli.command import DEVICE_FLAGS, Flag, StageCommand

# Of `genret train`, what means the same here.
_SHARED = {
  "collection",
  "model_dir",
  "initial_checkpoint_path",
  "cache_states",
  "states",
  "train_steps",
  "batch_size",
  "learning_rate",
  "dropout_rate",
  "eval_period",
  "seed",
  *(flag.name for flag in DEVICE_FLAGS),
} - {"accumulate"}  # every text is compared with the whole batch

COMMAND = StageCommand(
  name="dual_encoder",
  stage="genret.stages.dual_encoder",
  description="""\
Trains the encoder of a T5, or the sentence encoder in its place, to put a
text's vector near its document's: a baseline that starts from what genret
train starts from and reads the same pairs. It learns from the documents of the
batch and from hard negatives of BM25. genret retrieve searches the folder,
exactly. See docs/baselines.md.

Killed at any moment, the same command goes on from the last whole checkpoint
and ends with the same parameters.""",
  example="""\
  genret dual_encoder --collection=data/squad --model_dir=models/squad-dual
  genret dual_encoder --gin_file=runs/dual_encoder.gin \\
    --gin_file=models/minilm_t5.gin --gin_file=tasks/d2q_labelled.gin \\
    --gin.QUERIES=queries/squad --scoring=late --gin.DIM=128 \\
    --collection=data/squad --model_dir=models/squad-late""",
  flags=(
    *(flag for flag in train.COMMAND.flags if flag.name in _SHARED),
    Flag(
      name="scoring",
      help="mean: a vector a text; late: one a token, as ColBERT has",
    ),
  ),
  report=lambda folder, given: (
    f"wrote {folder}\n"
    f"next: genret retrieve --model_dir={folder}"
    f" --collection={given['collection'].root}"
  ),
)
