"""`genret plan`: what a run needs of a machine, before there is one."""

from genret.cli.command import Flag, StageCommand

COMMAND = StageCommand(
  name="plan",
  stage="genret.stages.plan",
  description="""\
Says what training a model and searching with it need of a machine: parameters
by part, bytes a device, FLOPs a step and a query, whether it fits, and on which
mesh it would. Reads nothing but gin files (those of genret train will do for
the model), allocates no parameters, and compiles a narrow twin of the sharded
step for as many virtual devices.""",
  example="""\
  genret plan --gin_file=runs/plan.gin --gin_file=models/t5_1_1_base.gin \\
    --devices=8 --device_memory=80
  genret plan --gin_file=runs/plan.gin --gin_file=models/t5_1_1_xxl.gin \\
    --devices=64 --device_memory=95 --gin.MODEL_PARALLEL=8 --out=xxl.json""",
  flags=(
    Flag(name="devices", help="accelerators of all hosts", type=int),
    Flag(name="device_memory", help="of each, in GB (10^9 bytes)", type=float),
    Flag(name="model_parallel", help="ways over the model axis", type=int),
    Flag(
      name="fully_sharded",
      help="True splits weights and optimizer over the data axis as well",
      type=bool,
    ),
    Flag(name="accumulate", help="parts a batch is taken in", type=int),
    Flag(name="remat", help="none, dots or full: what is made again"),
    Flag(name="num_documents", help="docids, one a document", type=int),
    Flag(name="docid_length", help="symbols a docid; 1 is atomic", type=int),
    Flag(
      name="docid_vocab_size",
      help="symbols of an own vocabulary, pad and EOS included; without it"
      " atomic docids have one each, and longer ones are text",
      type=int,
    ),
    Flag(name="batch_size", help="rows a training step", type=int),
    Flag(name="queries", help="searched together", type=int),
    Flag(name="num_beams", help="docids kept a step of a search", type=int),
    Flag(name="out", help="a JSON file for the figures"),
  ),
  report=lambda plan, given: "\n".join(
    [plan.table(), *([f"wrote {given['out']}"] if given.get("out") else [])]
  ),
)
