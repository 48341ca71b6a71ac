"""`genret convert`: weights of t5x, transformers and genret, each way."""

from genret.cli.command import Flag, StageCommand
from genret.stages.convert import Converted


def _report(made: Converted, given: dict) -> str:
  lines = [f"wrote {made.path}: {made.num_parameters:,} parameters"]
  if given["docids"] is not None:
    fresh = made.initialised or ("nothing",)
    lines.append(f"initialised anew: {', '.join(fresh)}")
    lines.append(f"next: genret train --initial_checkpoint_path={made.path}")
  return "\n".join(lines)


COMMAND = StageCommand(
  name="convert",
  stage="genret.stages.convert",
  description="""\
Reads a T5.1.1 from a checkpoint of t5x (either layout, layers stacked or not),
from transformers (safetensors) or from genret, and writes it as any of these.
Arrays are read and written one at a time. Given docids, the decoder is fitted
to them: their embedding and their head start anew, and nothing else does.""",
  example="""\
  genret convert --source=t5_1_1_base/checkpoint_1000000 \\
    --docids=data/squad-semantic --out=models/t5-base-squad
  genret convert --source=downloads/t5-v1_1-base --to=t5x --out=models/t5x-base
  genret convert --source=models/t5-base-squad --to=t5x --out=models/back""",
  flags=(
    Flag(
      name="source",
      help="a checkpoint of t5x, a folder or file of transformers, a model"
      " folder, or what this command wrote",
    ),
    Flag(name="out", help="the folder that is written"),
    Flag(name="to", help="genret, t5x or huggingface"),
    Flag(name="docids", help="a folder of genret docids to write"),
    Flag(name="layout", help="of t5x: legacy or orbax"),
    Flag(name="seed", help="of what starts anew", type=int),
  ),
  report=_report,
)
