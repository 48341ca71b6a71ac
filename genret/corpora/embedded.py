"""The collection that ships inside the package."""

from importlib import resources
from pathlib import Path

from genret.corpora import beir
from genret.corpora.source import OnError, Source


def squad(*, on_error: OnError = "raise") -> Source:
  """Opens the paragraphs and questions of SQuAD 1.1's development set.

  2,067 Wikipedia paragraphs and 10,570 questions, split by question into
  7,488 for training, 521 for development and 2,561 for testing. CC BY-SA
  4.0; genret/data/squad says whose work it is. It stays compressed on disk.

  Args:
    on_error: as for `beir.read`; there is no fault in it.

  Returns:
    The source.
  """
  archive = resources.files("genret") / "data" / "squad" / "squad.tar.xz"
  return beir.read(Path(str(archive)), name="squad", on_error=on_error)


def squad_queries() -> Path:
  """Returns the file of ten synthetic queries for each passage of squad.

  Written by SmolLM2-135M-Instruct, which read five training questions first;
  genret/data/squad/QUERIES.md says how. Nothing was left out: `genret filter`
  keeps those that find their passage.
  """
  name = resources.files("genret") / "data" / "squad" / "queries.jsonl.gz"
  return Path(str(name))
