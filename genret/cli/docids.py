"""`genret docids`: an identifier for every document."""

from genret.cli.command import COLLECTION, Flag, StageCommand

COMMAND = StageCommand(
  name="docids",
  stage="genret.stages.docids",
  description="""\
Gives each document of a prepared collection its docid, the row of symbols that
the model will write. Atomic unless a file of docids/ says otherwise: atomic,
naive, sequential, random, docno, title, url, keywords; and, from --embeddings,
semantic, semantic_2d, residual, product, rqvae, and each of these five
_permuted, its control. Figures of their quality are printed and stand beside
them in quality.json.""",
  example="""\
  genret docids --collection=data/squad --out=data/squad-atomic
  genret docids --gin_file=runs/docids.gin --gin_file=docids/semantic.gin \\
    --collection=data/squad --embeddings=data/squad-vectors \\
    --out=data/squad-semantic""",
  flags=(
    COLLECTION,
    Flag(name="out", help="the folder of the docids"),
    Flag(name="embeddings", help="a folder of genret embed"),
    Flag(
      name="collisions",
      help="what becomes of documents that share a docid: share, extra (one"
      " more symbol tells them apart) or forbid",
    ),
    Flag(name="seed", help="of schemes that draw", type=int),
  ),
  report=lambda table, given: (
    f"wrote {given['out']}: {table.num_documents:,} {table.scheme} docids of"
    f" length {table.length} over {table.vocab_size:,} symbols\n"
    f"next: genret train --collection={given['collection'].root}"
    f" --docids={given['out']} --model_dir=MODEL"
  ),
)
