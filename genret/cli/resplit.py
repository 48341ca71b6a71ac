"""`genret resplit`: the same documents under other judgements."""

from genret.cli.command import Flag, StageCommand

COMMAND = StageCommand(
  name="resplit",
  stage="genret.stages.resplit",
  description="""\
Makes a collection of the same documents whose queries are split anew. Either
--coverage: a share of the test positives has a training query, and the test
queries are the same for every share. Or --folds: queries lie in clusters, the
test queries of one of them are asked, and training is on the others
(--by=cluster, to extrapolate) or on as many queries of all (--by=random, to
interpolate). The result is a folder that every --collection takes; documents
are not copied.""",
  example="""\
  genret resplit --collection=data/squad --coverage=0.5 --out=data/squad-half
  genret resplit --collection=data/rungs/4k --coverage=0.5 \\
    --cover_with=sentences --train_queries=2000 --out=data/4k-half
  genret resplit --collection=data/squad --folds=5 --fold=2 --by=random \\
    --out=data/squad-random-2""",
  flags=(
    Flag(name="collection", help="a folder of genret prepare or ladder"),
    Flag(name="out", help="the folder of the collection to be"),
    Flag(
      name="coverage",
      help="share of test positives that has a training query",
      type=float,
    ),
    Flag(
      name="cover_with",
      help="'queries' of the collection; or 'titles' or 'sentences' of"
      " documents that have no other",
    ),
    Flag(name="test_queries", help="test queries that are asked", type=int),
    Flag(name="train_queries", help="training queries that stay", type=int),
    Flag(name="folds", help="clusters of queries", type=int),
    Flag(name="fold", help="which of them is asked, from 1", type=int),
    Flag(
      name="by",
      help="'cluster' trains on the others, 'random' on as many of all",
    ),
    Flag(name="relevance", help="lowest grade that is relevant", type=int),
    Flag(name="seed", help="of what is drawn", type=int),
  ),
  report=lambda made, given: (
    f"wrote {made.root}\n"
    f"next: genret docids --collection={made.root} --out=DOCIDS"
  ),
)
