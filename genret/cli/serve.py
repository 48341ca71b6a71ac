"""`genret serve`: a model folder as a service and a page."""

from genret.cli.command import Flag, StageCommand


def numbers(text: str) -> tuple[int, ...]:
  """Reads whole numbers, parted by commas.

  >>> numbers("1,10,50")
  (1, 10, 50)
  """
  return tuple(int(part) for part in text.split(",") if part)


COMMAND = StageCommand(
  name="serve",
  stage="genret.serving.server",
  description="""\
Answers queries with a trained model: over HTTP (POST /search, POST /explain,
GET /documents/DOCNO, /health, /metrics, /openapi.json) and on a page that shows
what the search kept and dropped. All that searches need is compiled before the
port opens. SIGTERM or Ctrl-C stops it; what it has accepted is answered first.
It listens on this machine alone unless told otherwise. See docs/serving.md.""",
  example="""\
  genret serve --model_dir=genret-quickstart/models/semantic \\
    --collection=genret-quickstart/collection
  genret serve --model_dir=models/squad-atomic --collection=data/squad \\
    --host=0.0.0.0 --token_file=token.txt --beams=1,10,50""",
  flags=(
    Flag(name="model_dir", help="a folder of genret train"),
    Flag(
      name="collection",
      help="the collection it was trained on: titles, texts and BM25",
    ),
    Flag(name="host", help="the address to listen on; 127.0.0.1 by default"),
    Flag(name="port", help="0 takes any that is free", type=int),
    Flag(
      name="num_beams",
      help="docids kept a step, where a request does not say",
      type=int,
    ),
    Flag(
      name="beams",
      help="more numbers of beams to ask for, such as 1,50; each takes time to"
      " compile",
      type=numbers,
    ),
    Flag(
      name="token_file",
      help="a file whose first line requests must bear as their token",
    ),
    Flag(name="checkpoint", help="'best', 'newest', or a step"),
    Flag(name="bm25", help="False: no BM25 index", type=bool),
    Flag(
      name="log_queries",
      help="whether queries are written to standard error",
      type=bool,
    ),
  ),
  report=lambda served, given: (
    f"stopped: {served.answers:,} requests answered in {served.seconds:,.0f} s"
  ),
)
