"""`genret retrieve`: a TREC run file from a model folder and queries."""

from genret.cli.command import Flag, StageCommand

COMMAND = StageCommand(
  name="retrieve",
  stage="genret.stages.retrieve",
  description="""\
Searches the queries of a split with a trained model and writes a TREC run file
(query, Q0, document, rank, score, tag). The beam search follows the trie of
docids, so every answer is a document of the collection, unless told not to.""",
  example="""\
  genret retrieve --model_dir=models/squad-atomic --collection=data/squad
  genret retrieve --model_dir=models/squad-atomic --collection=data/squad \\
    --split=dev --k=10 --out=dev.trec""",
  flags=(
    Flag(name="model_dir", help="a folder of genret train"),
    Flag(name="collection", help="the collection it was trained on"),
    Flag(
      name="out",
      help="the run file; by default runs/COLLECTION-SPLIT.trec in the model"
      " folder",
    ),
    Flag(name="split", help="whose queries: train, dev or test"),
    Flag(name="k", help="documents a query", type=int),
    Flag(name="num_beams", help="docids kept a step; k by default", type=int),
    Flag(name="checkpoint", help="'best', 'newest', or a step"),
    Flag(
      name="scoring",
      help="raw (the default) sums log-probabilities among all symbols;"
      " renormalised those among the symbols that some docid has there, which"
      " is faster and ranks differently",
    ),
    Flag(
      name="constrained",
      help="False: the model writes what it likes, and what is no docid is"
      " dropped",
      type=bool,
    ),
    Flag(
      name="model_parallel",
      help="devices that share each matrix of a model too large for one",
      type=int,
    ),
    Flag(
      name="fully_sharded",
      help="whether parameters are split over all devices",
      type=bool,
    ),
  ),
  report=lambda found, given: (
    f"wrote {found.path}: {found.num_queries:,} queries in"
    f" {found.seconds:.1f} s\n"
    f"next: genret evaluate --collection={given['collection'].root}"
    f" --runs={given['model_dir'].name}={found.path} --out=RESULTS"
  ),
)
