"""The commands of a study, and which of them reads what others make."""

import string
from collections.abc import Collection

SHARED = (
  *("prepare", "ladder", "resplit", "embed"),
  *("generator", "generate", "filter", "docids", "baselines"),
)
"""Commands whose results cells share, in the order in which they run."""
TRAINERS = ("train", "dual_encoder")
COMMANDS = (*SHARED, *TRAINERS, "retrieve")
FOLDERS = {"vectors": "embed", "queries": "generate", "filtered": "filter"}
"""Placeholders that stand for the folder which a shared command makes."""
STATES = "states"
OTHERWISE = {"resplit": "ladder", "ladder": "prepare", "generator": ""}
"""What is read in place of a shared command that a cell has no flags of."""


def inputs(command: str, named: Collection[str]) -> list[str]:
  """Returns the shared commands whose results a command may read.

  Rungs are of a prepared collection; other splits are of a rung. Documents and
  their docids are the same however queries are split.

  >>> inputs("docids", {"vectors"})
  ['ladder', 'embed']

  Args:
    command: One of `SHARED`.
    named: The placeholders of its flags.
  """
  below = {
    "prepare": [],
    "ladder": ["prepare"],
    **dict.fromkeys(("resplit", "embed", "docids"), ["ladder"]),
    "generate": ["resplit", "generator"],
  }
  found = below.get(command, ["resplit"])
  return found + [FOLDERS[name] for name in FOLDERS if name in named]


def placeholders(flag: str) -> list[str]:
  """Returns the names in braces of a flag.

  >>> placeholders("--gin_file=start/{model}_{docids}.gin")
  ['model', 'docids']
  """
  return [name for _, name, _, _ in string.Formatter().parse(flag) if name]
