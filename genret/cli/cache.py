"""`genret cache`: tokenised examples, made once for all runs and hosts."""

from genret.cli.command import COLLECTION, Flag, StageCommand

COMMAND = StageCommand(
  name="cache",
  stage="genret.stages.cache",
  description="""\
Tokenises the examples of a mixture into a folder that training maps from disk
instead of tokenising them itself: give it to genret train as
--gin.CACHE_DIR=FOLDER. Several runs, hosts and mixtures can share the folder.
The tasks are also written in seqio's own cache layout, by Apache Beam, for t5x
and other programs on seqio; --gin.SEQIO=False leaves that out. A run that was
killed goes on with the first task, or shard of one, that is not whole.""",
  example="""\
  genret cache --collection=data/squad --docids=data/squad-semantic \\
    --out=data/cache
  genret cache --gin_file=runs/cache.gin --gin_file=tasks/d2q_labelled.gin \\
    --gin.QUERIES=queries.tsv --collection=data/msmarco \\
    --docids=data/msmarco-semantic --out=/shared/cache
  genret train --gin_file=runs/train.gin --gin_file=tasks/d2q_labelled.gin \\
    --gin.QUERIES=queries.tsv --collection=data/msmarco \\
    --docids=data/msmarco-semantic --model_dir=models/msmarco \\
    --gin.CACHE_DIR=/shared/cache""",
  flags=(
    COLLECTION,
    Flag(name="docids", help="a folder of genret docids"),
    Flag(name="out", help="the folder of the cache, new or not"),
    Flag(
      name="vocabulary",
      help="t5, or bert_uncased for a model with BERT's encoder",
    ),
    Flag(name="num_shards", help="files a task in seqio's layout", type=int),
  ),
  report=lambda cached, given: (
    f"{cached.description}\n"
    f"{given['out']} holds {cached.num_examples:,} examples of"
    f" {cached.mixture}"
    + "".join(f"\n  {folder}" for folder in cached.folders)
    + f"\nnext: genret train --collection={given['collection'].root}"
    f" --docids={given['docids']} \\\n"
    f"  --gin.CACHE_DIR={given['out']} --model_dir=MODEL, with the same"
    " --gin_file=tasks/… as here"
  ),
)
