"""Tokenised examples on disk: written once, mapped by every later run.

Three files of plain little-endian numbers, E examples of S ids in all:

  tokens.uint16    [S]      the ids of all inputs, end to end, markers too
  offsets.int64    [E + 1]  where each input begins, and the last ends
  documents.int32  [E]      the row of each example's document

Nothing here imports TensorFlow.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ArtifactError
from genret.tasks import tokenising
from genret.tasks.examples import Examples, TaskConfig

STAGE = "examples"
FORMAT_VERSION = 1
# The folders of a cache: these artifacts, and tasks cached for seqio.
EXAMPLES = "examples"
SEQIO = "seqio"
SUMMARY = "summary.json"
TOKENS = ("tokens.uint16", np.dtype("<u2"))
OFFSETS = ("offsets.int64", np.dtype("<i8"))
DOCUMENTS = ("documents.int32", np.dtype("<i4"))


def stored(
  config: TaskConfig,
  collection: Collection,
  *,
  input_length: int,
  cache_dir: Path,
  num_processes: int | None = None,
  vocabulary: str = "t5",
) -> Examples:
  """Opens the examples of a task, which are tokenised when they are not there.

  The folder is named by what decides the examples: the collection, the
  task's settings, the input length. It takes its name when it is whole, so a
  killed run leaves nothing that a later one could mistake; two processes that
  make it at once end with one.

  Args:
    config: the task.
    collection: what it reads.
    input_length: the most ids an input may have, start and end included.
    cache_dir: where such folders are kept; hosts may share it.
    num_processes: that tokenise; None for one a core.
    vocabulary: the name of the one that turns text into ids.

  Returns:
    The examples, mapped from disk: the same as `config.examples` gives.

  Raises:
    ConfigError: there is none.
  """
  recipe = _recipe(
    config, collection, input_length=input_length, vocabulary=vocabulary
  )
  name = f"{recipe.arguments['task']}-{recipe.key}"
  folder = Path(cache_dir) / EXAMPLES / name
  if artifacts.existing(folder, recipe) is None:
    with artifacts.building(folder, recipe) as draft:
      found = tokenising.blocks(
        config,
        collection,
        input_length=input_length,
        num_processes=num_processes,
        vocabulary=vocabulary,
      )
      count = save(draft, found, label=config.name)
      config.check_some(count, collection)
  return load(folder)


def save(folder: Path, blocks: Iterable[Examples], *, label: str) -> int:
  """Writes blocks of examples as they come.

  Args:
    folder: an empty one.
    blocks: of examples, in order.
    label: stands before the progress bar.

  Returns:
    E.
  """
  num_examples = num_tokens = num_truncated = num_start = 0
  with contextlib.ExitStack() as stack:
    tokens, offsets, documents = (
      stack.enter_context(open(folder / name, "wb"))
      for name, _ in (TOKENS, OFFSETS, DOCUMENTS)
    )
    bar = stack.enter_context(
      tqdm(desc=f"tokenise {label}", unit=" examples", delay=2)
    )
    _append(offsets, np.zeros(1), OFFSETS)
    for block in blocks:
      _append(tokens, block.tokens, TOKENS)
      _append(offsets, block.offsets[1:] + num_tokens, OFFSETS)
      _append(documents, block.documents, DOCUMENTS)
      num_examples += block.num_examples
      num_tokens += len(block.tokens)
      num_truncated += block.num_truncated
      num_start = block.num_start
      bar.update(block.num_examples)
  summary = {
    "num_examples": num_examples,
    "num_tokens": num_tokens,
    "num_truncated": num_truncated,
    **({"num_start": num_start} if num_start else {}),
  }
  artifacts.write_json(folder / SUMMARY, summary)
  return num_examples


def load(folder: Path) -> Examples:
  """Maps stored examples; nothing but a few numbers is read.

  Args:
    folder: of one task's examples.

  Returns:
    The examples.

  Raises:
    ArtifactError: the folder holds no examples, or less than it should.
  """
  artifacts.load(folder, stage=STAGE, format_version=FORMAT_VERSION)
  summary = artifacts.read_json(folder / SUMMARY)
  num_examples = summary["num_examples"]
  return Examples(
    tokens=_mapped(folder, TOKENS, summary["num_tokens"]),
    offsets=_mapped(folder, OFFSETS, num_examples + 1),
    documents=_mapped(folder, DOCUMENTS, num_examples),
    num_truncated=summary["num_truncated"],
    num_start=summary.get("num_start", 0),
    folder=Path(folder),
  )


def _recipe(
  config: TaskConfig,
  collection: Collection,
  *,
  input_length: int,
  vocabulary: str,
) -> artifacts.Recipe:
  # How examples are mixed, shortened later and called is not their content.
  reading = {"name", "token_dropout"}
  settings = {k: v for k, v in config.content().items() if k not in reading}
  return artifacts.Recipe(
    stage=STAGE,
    arguments={
      "task": type(config).__name__,
      "settings": settings,
      "input_length": input_length,
      **({} if vocabulary == "t5" else {"vocabulary": vocabulary}),
    },
    inputs={"collection": collection.identity},
    format_version=FORMAT_VERSION,
  )


def _append(
  file: BinaryIO, numbers: np.ndarray, kind: tuple[str, np.dtype]
) -> None:
  file.write(np.ascontiguousarray(numbers, kind[1]).data)


def _mapped(folder: Path, kind: tuple[str, np.dtype], count: int) -> np.ndarray:
  name, dtype = kind
  path = folder / name
  expected = count * dtype.itemsize
  if path.stat().st_size != expected:
    raise ArtifactError(
      f"{path} has {path.stat().st_size:,} bytes and {expected:,} are "
      "expected. Remove the folder; the examples are then made anew."
    )
  # A plain view: an item of a memmap costs ten times an item of an array.
  return np.memmap(path, dtype, mode="r").view(np.ndarray)
