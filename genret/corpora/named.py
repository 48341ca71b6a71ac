"""Finds the reader for what a user names on the command line."""

import functools
from collections.abc import Callable
from pathlib import Path

from genret.core.collection import CORPUS
from genret.core.errors import ConfigError, DataError, suggest
from genret.corpora import beir, embedded, files, irds, kilt, msmarco
from genret.corpora.source import Source

EMBEDDED = {"squad": embedded.squad}
IRDS_PREFIX = "ir_datasets:"


def find(name: str) -> Callable[..., Source]:
  """Returns the reader of a collection.

  Args:
    name: "squad", the embedded one; "ir_datasets:ID"; or the path of a
      folder or tar archive in the layout of BEIR, MS MARCO or KILT. A folder
      that is called squad is given as ./squad.

  Returns:
    A function of `on_error` that opens the source.

  Raises:
    ConfigError: nothing has that name.
    DataError: the folder has none of these layouts.
  """
  if name in EMBEDDED:
    return EMBEDDED[name]
  if name.startswith(IRDS_PREFIX):
    return functools.partial(irds.read, name.removeprefix(IRDS_PREFIX))
  path = Path(name)
  if not path.exists():
    raise ConfigError(
      f"There is no collection {name!r}: no such path, and no embedded "
      f"collection.{suggest(name, EMBEDDED)} Public ones are read as "
      f"{IRDS_PREFIX}ID."
    )
  names = files.names(path)
  if CORPUS in names:
    return functools.partial(beir.read, path)
  if msmarco.COLLECTION in names:
    return functools.partial(msmarco.read, path)
  if kilt.KNOWLEDGE in names:
    return functools.partial(kilt.read, path)
  raise DataError(
    f"holds neither {CORPUS} (BEIR's layout) nor {msmarco.COLLECTION} (MS "
    f"MARCO's) nor {kilt.KNOWLEDGE} (KILT's), plain or .gz",
    path=path,
  )
