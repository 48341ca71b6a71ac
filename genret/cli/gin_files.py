"""Finds gin files: in a checkout, in an installed package, on search paths."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

import genret
from genret.core.errors import ConfigError

PACKAGE = Path(genret.__file__).parent


def shipped() -> Path:
  """Returns the folder of the gin files that come with genret.

  In a checkout it lies beside the package, in an installed package inside.
  """
  beside = PACKAGE.parent / "gin_configs"
  return beside if beside.is_dir() else PACKAGE / "gin_configs"


def roots(search_paths: Iterable[str] = ()) -> list[Path]:
  """Returns where relative names are looked up, first match first.

  The current folder, then the given paths, then the shipped files, which are
  found both as `runs/train.gin` and as `gin_configs/runs/train.gin`.
  """
  given = [Path(path).expanduser() for path in search_paths]
  return [Path(""), *given, shipped(), shipped().parent]


def find(
  name: str, search_paths: Sequence[str] = (), *, said: str = ""
) -> Path:
  """Returns the path of a gin file.

  Args:
    name: The file, absolute or relative to one of the `roots`.
    search_paths: Folders to look in after the current one.
    said: Where the name was given, to open an error with.

  Raises:
    ConfigError: If there is none; says where it looked, and the nearest name.
  """
  given = Path(name).expanduser()
  places = [Path("")] if given.is_absolute() else roots(search_paths)
  for place in places:
    if (path := place / given).is_file():
      return path
  if given.is_dir():
    looked = " is a folder"
  elif given.is_absolute():
    looked = " does not exist"
  else:
    looked = "; looked in " + ", ".join(map(str, places))
  opening = f"{said}: no" if said else "No"
  raise ConfigError(
    f"{opening} gin file: {name!r}{looked}.{_nearest(name, search_paths)}"
  )


def _nearest(name: str, search_paths: Sequence[str]) -> str:
  """Names the files most like `name`, in a sentence, or says nothing."""
  folders = [Path(path).expanduser() for path in search_paths]
  known = {
    path.relative_to(folder).as_posix()
    for folder in [shipped(), *folders]
    for path in sorted(folder.rglob("*.gin"))
  }
  by_name = [path for path in known if Path(path).name == Path(name).name]
  near = sorted(by_name) or difflib.get_close_matches(name, sorted(known), n=3)
  if not near:
    return f" Shipped files are in {shipped()}."
  return f" Nearest: {', '.join(near)}."
