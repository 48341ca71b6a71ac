"""The `genret` command: finds the sub-command and words its errors."""

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Sequence

import genret
from genret.core.errors import UserError

# Name -> what it does, in the order of the pipeline. Each has a module here.
COMMANDS: dict[str, str] = {
  "quickstart": "the main job: a real collection to trained retrievers",
  "prepare": "make a collection ready to train and search on",
  "ladder": "take nested parts of a collection, 1k in 10k in 100k",
  "resplit": "split queries anew: coverage, and folds to extrapolate",
  "embed": "turn documents into vectors",
  "docids": "give each document its identifier",
  "cache": "tokenise training examples once, for all runs and hosts",
  "plan": "say what a run needs of a machine, before there is one",
  "pretrain": "teach a T5 some language, from the texts of collections",
  "convert": "turn weights of t5x or transformers into ours, and back",
  "generator": "train models that write queries for documents",
  "generate": "write synthetic queries for every document",
  "prompt": "ask a language model for queries of every document",
  "filter": "keep the synthetic queries that find their document",
  "describe_queries": "say what synthetic queries are like",
  "train": "train a model to write docids",
  "dual_encoder": "train a model that compares vectors, as a baseline",
  "retrieve": "search queries with a model",
  "serve": "answer queries over HTTP and on a page",
  "baselines": "search queries with BM25 and a bag of subwords",
  "evaluate": "measure run files, beside each other",
  "costs": "say what a model takes: FLOPs, latency, bytes",
  "diagnose": "tell errors of the search, the model and the docids apart",
  "study": "run a grid of experiments, and make its tables",
  "report": "make a page, tables and plots of a study's results",
}

_WRONG = 2
_INTERRUPTED = 130
# Facts of the machine, not mistakes in the program.
_MACHINE = {
  errno.EACCES,
  errno.EDQUOT,
  errno.EEXIST,
  errno.EISDIR,
  errno.ENAMETOOLONG,
  errno.ENOSPC,
  errno.ENOTDIR,
  errno.EPERM,
  errno.EROFS,
}


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command line; returns its exit code.

  0 done, 2 something given is wrong (one line on standard error says what),
  130 interrupted. Anything else is a fault of genret and keeps its traceback.
  """
  arguments = list(sys.argv[1:] if argv is None else argv)
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  try:
    return _dispatch(arguments)
  except UserError as error:
    return _complain(str(error))
  except OSError as error:
    if isinstance(error, BrokenPipeError):
      os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
      return 0
    if error.errno not in _MACHINE:
      raise
    where = f"{error.filename}: " if error.filename else ""
    return _complain(f"{where}{error.strerror}.")
  except KeyboardInterrupt:
    print(
      "\ninterrupted; the same command goes on from what is finished.",
      file=sys.stderr,
    )
    return _INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
  if not arguments or arguments[0] in ("-h", "--help", "help"):
    print(usage())
    return 0
  if arguments[0] == "--version":
    print(f"genret {genret.__version__}")
    return 0
  name, *rest = arguments
  if name not in COMMANDS:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    known = f" Commands: {', '.join(COMMANDS)}." if not near else ""
    return _complain(f"no command {name!r}.{meant}{known} See genret --help.")
  module = importlib.import_module(f"genret.cli.{name}")
  return module.COMMAND.run(rest)


def usage() -> str:
  """Returns the text of `genret --help`."""
  width = max(map(len, COMMANDS), default=0)
  rows = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
  return "\n".join(
    [
      "usage: genret COMMAND [flags]",
      "",
      "Generative retrieval: a T5 model is the whole search index.",
      "",
      "commands:",
      *rows,
      "",
      "genret COMMAND --help explains one, with an example.",
      "Start with: genret quickstart --workdir genret-quickstart",
    ]
  )


def _complain(message: str) -> int:
  print(f"error: {message}", file=sys.stderr)
  return _WRONG


if __name__ == "__main__":
  sys.exit(main())
