"""`genret diagnose`: errors of the search, of the model, of the docids."""

from typing import Any

from genret.cli.command import Flag, StageCommand


def _strings(text: str) -> tuple[str, ...]:
  return tuple(text.split(","))


def _report(found: Any, given: dict[str, Any]) -> str:
  path = given.get("out") or given["model_dir"] / "diagnostics.json"
  return f"{found.table()}\nwrote {path}"


COMMAND = StageCommand(
  name="diagnose",
  stage="genret.stages.diagnose",
  description="""\
Says why a model's answers are wrong. The same queries are searched along the
trie of docids, without it, and by scoring every docid: how many beams are no
docid where nothing forbids it, how often beams miss what the model itself likes
best (an error of the search), how often that is no answer (an error of the
model), and to which symbol docids are right. Writes diagnostics.json. See
docs/costs.md.""",
  example="""\
  genret diagnose --model_dir=models/squad-semantic --collection=data/squad
  genret diagnose --model_dir=models/squad-naive --collection=data/squad \\
    --exhaustive_queries=0 --out=diagnostics.json""",
  flags=(
    Flag(name="model_dir", help="a folder of genret train"),
    Flag(name="collection", help="the collection it was trained on"),
    Flag(
      name="out",
      help="a JSON file; by default diagnostics.json in the model folder",
    ),
    Flag(name="split", help="whose queries: train, dev or test"),
    Flag(name="queries", help="how many of them", type=int),
    Flag(
      name="exhaustive_queries",
      help="how many of these are searched exhaustively; 0 for none",
      type=int,
    ),
    Flag(name="k", help="documents a query", type=int),
    Flag(name="num_beams", help="docids kept a step; k by default", type=int),
    Flag(name="checkpoint", help="'best', 'newest', or a step"),
    Flag(name="measures", help="as ir-measures names them", type=_strings),
  ),
  report=_report,
)
