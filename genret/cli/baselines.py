"""`genret baselines`: what a generative retriever is measured against."""

from genret.cli.command import COLLECTION, Flag, StageCommand

COMMAND = StageCommand(
  name="baselines",
  stage="genret.stages.baselines",
  description="""\
Searches the queries of a prepared collection with BM25 (as is, tuned on dev,
with training queries appended to their documents and, if given, with synthetic
ones), with a bag-of-subwords softmax over documents and, if asked, by the
vectors of a sentence encoder. Each row is a folder with run.trec and
settings.json.""",
  example="""\
  genret baselines --collection=data/squad --out=data/squad-baselines
  genret baselines --collection=data/squad --out=data/squad-baselines \\
    --synthetic_queries=data/squad-d2q
  genret baselines --collection=data/squad --out=data/squad-baselines \\
    --gin.DENSE='@embed.EmbedConfig()' \\
    --gin.EmbedConfig.vectors=data/squad-vectors""",
  flags=(
    COLLECTION,
    Flag(name="out", help="the folder of the rows"),
    Flag(name="split", help="whose queries: train, dev or test"),
    Flag(name="k", help="documents a query", type=int),
    Flag(
      name="synthetic_queries",
      help="queries to append to documents for one more row: a folder of"
      " genret generate, prompt or filter, or a file of docno<TAB>query",
    ),
  ),
  report=lambda runs, given: (
    "\n".join(f"wrote {path}" for path in runs.values())
    + f"\nnext: genret evaluate --collection={given['collection'].root}"
    f" --out=RESULTS \\\n  --runs="
    + ",".join(f"{row}={path}" for row, path in runs.items())
  ),
)
