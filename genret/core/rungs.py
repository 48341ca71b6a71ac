"""Where a rung of a ladder finds the collection it is a part of.

A rung is an artifact that lists rows of a collection. Its manifest names that
collection by identity; where it lies stands in `parent.json`, which is no part
of the rung's identity: to move both changes neither.
"""

import os
from pathlib import Path

from genret.core import artifacts
from genret.core.errors import ArtifactError

STAGE = "rung"
FORMAT_VERSION = 1
PARENT = "parent.json"
ROWS = "rows.npy"
INPUT = "collection"  # the parent's name among the inputs of the manifest

_KINDS = ("relative", "absolute")


def write_parent(folder: Path, parent: Path, *, final: Path) -> None:
  """Notes where a rung's collection lies.

  Args:
    folder: the rung, which may still have its temporary name.
    parent: the collection's folder.
    final: the rung's final name.
  """
  absolute = Path(parent).resolve()
  paths = {
    "relative": os.path.relpath(absolute, Path(final).resolve()),
    "absolute": str(absolute),
  }
  artifacts.write_json(folder / PARENT, paths)


def find_parent(folder: Path, manifest: artifacts.Manifest) -> Path:
  """Finds the collection of a rung.

  Args:
    folder: the rung.
    manifest: the rung's.

  Returns:
    The collection's folder: from the rung as when it was made, or else where
    it was then.

  Raises:
    ArtifactError: neither holds that very collection.
  """
  folder = Path(folder)
  wanted = manifest.inputs[INPUT]
  remedy = (
    f"Bring it back, or call `genret ladder` or `genret resplit` as when"
    f" {folder} was made, with --collection=PATH where it lies now; documents"
    " are not copied."
  )
  try:
    paths = artifacts.read_json(folder / PARENT)
    places = [folder.resolve() / paths[kind] for kind in _KINDS]
  except (OSError, ValueError, KeyError) as error:
    raise ArtifactError(
      f"{folder} is a rung, but its {PARENT}, which says where its collection"
      f" lies, cannot be read. {remedy}"
    ) from error
  places = [Path(os.path.normpath(place)) for place in places]
  there = [place for place in places if (place / artifacts.MANIFEST).is_file()]
  for place in there:
    if artifacts.identity(place) == wanted:
      return place
  if there:
    raise ArtifactError(
      f"{folder} is a rung of collection {wanted[:12]}; {there[0]} now holds"
      f" another one ({artifacts.identity(there[0])[:12]}). {remedy}"
    )
  raise ArtifactError(
    f"{folder} is a rung of the collection that was in {places[0]}; there is"
    f" none now. {remedy}"
  )
