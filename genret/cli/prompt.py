"""`genret prompt`: synthetic queries from a language model that is prompted."""

from typing import Any

from genret.cli.command import COLLECTION, Flag, StageCommand
from genret.cli.generate import grades


def prices(text: str) -> tuple[float, float]:
  """Reads dollars for a million tokens of prompt and of completion.

  >>> prices("0.15,0.6")
  (0.15, 0.6)
  """
  prompt, completion = map(float, text.split(","))
  return prompt, completion


def _report(prompted: Any, given: dict[str, Any]) -> str:
  if given["dry_run"]:
    return f"{prompted.table()}\nnothing was asked"
  lines = [f"wrote {prompted.folder}: {_listed(prompted.summary['counts'])}"]
  if faults := prompted.summary["faults"]:
    lines.append(f"answers that were no query: {_listed(faults)}")
  if prompted.cost is not None:
    lines.append(f"cost: ${prompted.cost:,.4f}")
  if prompted.overlap:
    lines += ["queries that are questions of the collection:", prompted.overlap]
  lines.append(
    f"next: genret filter --collection={given['collection'].root}"
    f" --queries={prompted.folder} --out=QUERIES"
  )
  return "\n".join(lines)


def _listed(counts: dict[str, int]) -> str:
  return ", ".join(
    f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items()
  )


COMMAND = StageCommand(
  name="prompt",
  stage="genret.stages.prompt",
  description="""\
Asks a language model for queries of every document of a collection, by an
instruction and at most eight examples: a GGUF model in process, or any service
that speaks OpenAI's chat protocol. Every answer is kept at once, so a run that
was killed asks only for what is missing. Answers that are no query are
counted and asked for again, a bounded number of times; empty documents are
skipped and counted. Tokens, and with --prices the cost, are printed. The key of
a service is read from OPENAI_API_KEY. See docs/querygen.md.""",
  example="""\
  genret prompt --collection=data/squad --gguf=smollm2 --out=data/squad-prompted
  genret prompt --collection=data/squad --out=data/squad-prompted \\
    --endpoint=http://localhost:8000/v1 --model=NAME --as_list""",
  flags=(
    COLLECTION,
    Flag(name="out", help="the folder of the queries"),
    Flag(name="gguf", help="a GGUF file, or smollm2"),
    Flag(name="endpoint", help="the address of a service, mostly …/v1"),
    Flag(name="model", help="what the service calls the model"),
    Flag(name="instruction", help="what the model is to do"),
    Flag(
      name="examples",
      help="a file of at most 8, JSON lines with text and query; without it"
      " they are drawn from training queries",
    ),
    Flag(name="num_examples", help="drawn ones", type=int),
    Flag(name="num_queries", help="of each document", type=int),
    Flag(name="as_list", help="ask for all of them in one answer", type=bool),
    Flag(
      name="grades",
      help="of relevance to ask queries for, with commas between",
      type=grades,
    ),
    Flag(name="temperature", help="of the draws", type=float),
    Flag(name="top_p", help="share that is drawn from", type=float),
    Flag(name="max_tokens", help="of a query", type=int),
    Flag(name="document_words", help="that are read of a document", type=int),
    Flag(name="in_flight", help="requests at once", type=int),
    Flag(
      name="prices",
      help="dollars for a million tokens of prompt and of completion, with a"
      " comma between",
      type=prices,
    ),
    Flag(
      name="dry_run",
      help="ask nothing: requests, tokens, cost and the first prompt are shown",
      type=bool,
    ),
    Flag(name="seed", help="of examples and draws", type=int),
  ),
  report=_report,
)
