"""`genret ladder`: nested parts of a collection."""

from genret.cli.command import Flag, StageCommand


def sizes(text: str) -> tuple[str, ...]:
  """Reads the sizes of rungs.

  >>> sizes("1k,10k,all")
  ('1k', '10k', 'all')
  """
  found = tuple(part.strip() for part in text.split(","))
  if not all(found):
    raise ValueError(text)
  return found


def named_files(text: str) -> dict[str, str]:
  """Reads `split=file,split=file`.

  >>> named_files("train=a.txt,test=b.tsv.gz")
  {'train': 'a.txt', 'test': 'b.tsv.gz'}
  """
  pairs = [part.partition("=") for part in text.split(",")]
  found = {name: path for name, _, path in pairs if name and path}
  if len(found) != len(pairs):
    raise ValueError(text)
  return found


COMMAND = StageCommand(
  name="ladder",
  stage="genret.stages.ladder",
  description="""\
Makes nested parts of a prepared collection, 1k in 10k in 100k, that ask the
same sampled dev and test queries and hold their positives; and prints what
training queries cover on each. A rung is a folder that every --collection
takes; it lists documents and copies none. With --docnos it is made of a list
that others published.""",
  example="""\
  genret ladder --collection=data/msmarco --rungs=10k,100k,1M,all \\
    --out=data/msmarco-ladder
  genret ladder --collection=data/msmarco --rungs=100k,1M --like=paper \\
    --test_queries=6980 --out=data/msmarco-paper
  genret ladder --collection=data/nq --docnos=nci/docids.tsv.gz \\
    --name=nq320k-nci --queries=train=nci/train.txt,test=nci/dev.txt \\
    --out=data/nq-published""",
  flags=(
    Flag(name="collection", help="a folder of genret prepare"),
    Flag(name="out", help="the folder of the rungs"),
    Flag(
      name="rungs",
      help="documents of each: 1k,10k,1M,all",
      type=sizes,
    ),
    Flag(
      name="like",
      help="'collection' keeps its share of documents with a training query;"
      " 'paper' takes these first, as MSMarco100k and MSMarco1M do",
    ),
    Flag(name="dev_queries", help="dev queries on every rung", type=int),
    Flag(name="test_queries", help="test queries on every rung", type=int),
    Flag(name="relevance", help="lowest grade that is relevant", type=int),
    Flag(name="seed", help="of the sample and the order", type=int),
    Flag(
      name="docnos",
      help="a published list of documents: one id a line, the first column of"
      " a TSV, or a JSON list; plain or .gz",
    ),
    Flag(name="name", help="what that list is called"),
    Flag(
      name="queries",
      help="published lists of queries, SPLIT=FILE,SPLIT=FILE",
      type=named_files,
    ),
  ),
  report=lambda made, given: (
    f"wrote {', '.join(str(rung.root) for rung in made.rungs)}\n"
    f"next: genret docids --collection={made.rungs[0].root} --out=DOCIDS"
  ),
)
