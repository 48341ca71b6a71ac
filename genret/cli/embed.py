"""`genret embed`: one vector a document."""

from genret.cli.command import COLLECTION, Flag, StageCommand

COMMAND = StageCommand(
  name="embed",
  stage="genret.stages.embed",
  description="""\
Turns each document of a prepared collection into a vector, for docids that
cluster or quantise them. The encoder is all-MiniLM-L6-v2 without torch, or any
model of sentence-transformers; or the vectors are yours, from a .npy file; or,
on a rung of a ladder, those of its collection.
A run that was killed goes on from its last block of 1,024 documents.""",
  example="""\
  genret embed --collection=data/squad --out=data/squad-vectors
  genret embed --collection=data/nq --vectors=nq.npy --out=data/nq-vectors
  genret embed --collection=data/ladder/10k --vectors=data/nq-vectors \\
    --out=data/10k-vectors""",
  flags=(
    COLLECTION,
    Flag(name="out", help="the folder of the vectors"),
    Flag(
      name="vectors",
      help="in place of an encoder: a .npy file, one row a document in corpus"
      " order, or a folder of this command with all these documents",
    ),
    Flag(name="batch_size", help="documents encoded at a time", type=int),
  ),
  report=lambda store, given: (
    f"wrote {given['out']}: {store.num_documents:,} vectors of {store.dim}"
    " dimensions\n"
    "next: genret docids --gin_file=runs/docids.gin"
    " --gin_file=docids/semantic.gin \\\n"
    f"  --collection={given['collection'].root} --embeddings={given['out']}"
    " --out=DOCIDS"
  ),
)
