"""The errors that a user can cause, and how they are worded."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(ValueError):
  """Says what was expected, what came, where, and what to do."""


class DataError(UserError):
  """A fault in a file, at a line where there is one.

  Attributes:
    path: the file.
    line: the line, counted from 1, or None for the whole file.
  """

  def __init__(
    self, message: str, *, path: Path | str, line: int | None = None
  ):
    where = f"{path}" if line is None else f"{path}:{line}"
    super().__init__(f"{where}: {message}")
    self.path = path
    self.line = line


class ConfigError(UserError):
  """A setting that cannot be right."""


class ArtifactError(UserError):
  """An artifact on disk that is missing, damaged or another one."""


def suggest(name: str, options: Iterable[str]) -> str:
  """Names what was probably meant, as a sentence to append to a message.

  >>> suggest("tset", ["train", "dev", "test"])
  " Did you mean 'test'?"
  >>> suggest("x", ["train", "dev"])
  ' Known: dev, train.'
  >>> suggest("x", [])
  ''

  Args:
    name: the unknown name.
    options: the known names.

  Returns:
    The sentence with a leading blank, or "" where nothing is known.
  """
  known = sorted(set(options))
  near = difflib.get_close_matches(name, known, n=1)
  if near:
    return f" Did you mean {near[0]!r}?"
  return f" Known: {', '.join(known)}." if known else ""
