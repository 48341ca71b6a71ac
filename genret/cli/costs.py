"""`genret costs`: parameters, operations, latency and bytes of a model."""

from genret.cli.command import Flag, StageCommand

COMMAND = StageCommand(
  name="costs",
  stage="genret.stages.costs",
  description="""\
Says what a trained model costs: parameters by part, FLOPs of a training step
and of a query (counted from the program, as compiled, and by formula), latency
of one query, queries a second, bytes of weights, trie and docids, and what
training took. Writes costs.json. Times are of this machine as it is: let
nothing else run beside it. See docs/costs.md.""",
  example="""\
  genret costs --model_dir=models/squad-atomic --collection=data/squad
  genret costs --model_dir=models/squad-atomic --collection=data/squad \\
    --k=100 --devices=8 --out=costs.json""",
  flags=(
    Flag(name="model_dir", help="a folder of genret train"),
    Flag(name="collection", help="the collection it was trained on"),
    Flag(
      name="out", help="a JSON file; by default costs.json in the model folder"
    ),
    Flag(name="split", help="whose queries are timed: train, dev or test"),
    Flag(name="queries", help="how many of them are timed", type=int),
    Flag(name="k", help="documents a query", type=int),
    Flag(name="num_beams", help="docids kept a step; k by default", type=int),
    Flag(name="checkpoint", help="'best', 'newest', or a step"),
    Flag(
      name="compiled",
      help="False: programs are counted as traced, and not compiled",
      type=bool,
    ),
    Flag(
      name="devices",
      help="that the model was trained on; by default those of this machine",
      type=int,
    ),
  ),
  report=lambda found, given: (
    f"{found.table()}\nwrote"
    f" {given.get('out') or given['model_dir'] / 'costs.json'}"
  ),
)
