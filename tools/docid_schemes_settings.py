"""What a row of the study of docid schemes is made with, kept beside it."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genret.cli import gin_files
from genret.core import artifacts
from genret.studies.commands import FailedError

FILE = "settings.json"
_INCLUDE = re.compile(r"^include\s+['\"](.+)['\"]", re.MULTILINE)


def gin_text(names: Sequence[str]) -> dict[str, list[str]]:
  """Returns the lines of gin files, and of those they include, by name.

  >>> sorted(gin_text(["docids/naive.gin"]))
  ['docids/naive.gin']

  Args:
    names: Files that ship with genret; comments in them mean nothing.
  """
  found: dict[str, list[str]] = {}
  waiting = list(names)
  while waiting:
    name = waiting.pop(0)
    if name not in found:
      text = gin_files.find(name).read_text("utf-8")
      lines = [line.rstrip() for line in text.splitlines()]
      found[name] = [s for s in lines if s and not s.startswith("#")]
      waiting += _INCLUDE.findall(text)
  return found


def keep(folder: Path, settings: Mapping[str, Any]) -> None:
  """Writes the settings of a row before its first stage, or compares them.

  Args:
    folder: Of the row.
    settings: What its stages are about to be run with.

  Raises:
    FailedError: What stands there was made with others, or with none known.
  """
  path = folder / FILE
  wanted = json.loads(json.dumps(settings))
  if not path.exists():
    if any(folder.glob("*.done")):
      raise FailedError(
        f"{folder} has stages, but no {FILE} that says what made them; remove"
        " it to make them again"
      )
    artifacts.write_json(path, wanted)
    return
  found = json.loads(path.read_text("utf-8"))
  if found == wanted:
    return
  raise FailedError(
    f"{folder} is of other settings: {_differences(found, wanted)}; remove it"
    " to make it of these"
  )


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
  """Says what differs, a gin file by its name alone.

  >>> _differences({"seed": 1, "K": 2}, {"seed": 3, "K": 2})
  'seed was 1 and is 3'
  """
  said = []
  for key in sorted({*found, *wanted}):
    was, now = found.get(key), wanted.get(key)
    if was == now:
      continue
    if isinstance(was, dict) and isinstance(now, dict):
      names = {name for name in {*was, *now} if was.get(name) != now.get(name)}
      said.append(f"{key} of {', '.join(sorted(names))}")
    else:
      said.append(f"{key} was {was} and is {now}")
  return "; ".join(said)
