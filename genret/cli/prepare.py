"""`genret prepare`: a collection as published, made ready to train on."""

from genret.cli.command import Flag, StageCommand

COMMAND = StageCommand(
  name="prepare",
  stage="genret.stages.prepare",
  description="""\
Reads a collection and writes it in BEIR's layout (corpus.jsonl, queries.jsonl,
qrels/*.tsv), checked line by line: answers of queries that read the same are
merged, no query text stands in two splits, and a dev split is carved from
train where there is none. What is wrong is said with file and line. With --tfds
the collection is written once more as TFDS data sets, which seqio and t5x
read; a run that was killed goes on from the shards that it has.""",
  example="""\
  genret prepare --source=squad --out=data/squad
  genret prepare --source=ir_datasets:beir/scifact --out=data/scifact
  genret prepare --source=downloads/nq.tar.gz --out=data/nq --tfds""",
  flags=(
    Flag(
      name="source",
      help="'squad' (shipped), 'ir_datasets:ID', or a folder or tar archive in"
      " the layout of BEIR, MS MARCO or KILT",
    ),
    Flag(name="out", help="the folder of the prepared collection"),
    Flag(
      name="on_error",
      help="'raise' at the first fault, or 'skip' and count them",
    ),
    Flag(
      name="dev_share",
      help="share of the training texts that become dev",
      type=float,
    ),
    Flag(name="seed", help="draws that share", type=int),
    Flag(
      name="tfds",
      help="also write the collection as TFDS data sets, into OUT/tfds",
      type=bool,
    ),
    Flag(
      name="beam_runner",
      help="who writes their documents in parallel, such as DirectRunner",
    ),
  ),
  report=lambda prepared, given: (
    f"wrote {given['out']}\n"
    f"next: genret docids --collection={given['out']} --out=DOCIDS"
  ),
)
