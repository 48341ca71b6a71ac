"""Whether a model knows what it was shown: training pairs, searched.

An order of models says something only where each has learned its pairs by
heart; one that has not is merely trained less.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import artifacts
from genret.core.docnos import Docnos
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import CHECKPOINTS, ModelSpec
from genret.tasks import feed
from genret.tasks.examples import Examples
from genret.tasks.host_tensorflow import seqio
from genret.training.checkpoints import Checkpoints

FILE = "memorised.json"
NUM_BEAMS = 10
_CHUNK = 1 << 16  # examples compared at a time
_COMPARED = 4  # tokens of each, in one number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs:
  """Some of the examples that a model was trained on.

  Attributes:
    tokens: Ids of each input, nothing dropped.
    documents: Of each input the rows of all documents that it stands for in
      its task, ascending.
    tasks: Of each input the name of its task.
  """

  tokens: Sequence[np.ndarray]
  documents: Sequence[tuple[int, ...]]
  tasks: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
  """How the model of a folder is opened to be searched.

  Attributes:
    dev_measure: The measure that chose its best checkpoint, if one did.
    load: From `best` or a step to what searches tokens, whose `table` says
      which documents are one to it.
  """

  dev_measure: str | None
  load: Callable[[str | int], Any]


def examples_of(mixture: seqio.Mixture | str) -> dict[str, Examples]:
  """Returns the examples of a mixture, by the names of tasks in gin files.

  Raises:
    ConfigError: It is none of `mixtures.build`.
  """
  found = feed.examples_of(mixture)
  return {
    name.removeprefix("genret_").rpartition("_")[0]: examples
    for name, examples in found.items()
  }


def sample(examples: Mapping[str, Examples], count: int) -> Pairs:
  """Takes examples, evenly spread over all tasks and documents.

  The same examples give the same sample.

  >>> first = Examples.collect([(7, [5]), (8, [9]), (9, [5])], input_length=4)
  >>> pairs = sample({"firstp": first}, 2)
  >>> [row.tolist() for row in pairs.tokens], list(pairs.documents)
  ([[5, 1], [5, 1]], [(7, 9), (7, 9)])

  Args:
    examples: Of each task, by its name.
    count: How many; all where there are fewer.
  """
  names = list(examples)
  ends = np.cumsum([examples[name].num_examples for name in names])
  count = min(count, int(ends[-1]))
  taken = np.linspace(0, ends[-1] - 1, count).round().astype(np.int64)
  owners = np.searchsorted(ends, taken, side="right")
  tokens, documents, tasks = [], [], []
  for number, name in enumerate(names):
    one = examples[name]
    rows = taken[owners == number] - (ends[number] - one.num_examples)
    wanted = {one[row].tobytes(): set[int]() for row in rows.tolist()}
    _gather(one, wanted)
    tokens += [np.asarray(one[row]) for row in rows.tolist()]
    documents += [
      tuple(sorted(wanted[one[row].tobytes()])) for row in rows.tolist()
    ]
    tasks += [name] * len(rows)
  return Pairs(tokens=tokens, documents=documents, tasks=tasks)


def measure(
  retriever: Any, pairs: Pairs, *, num_beams: int = NUM_BEAMS
) -> dict[str, float]:
  """Returns the share of pairs whose docid comes first.

  An input that stands for several documents counts when that of one of them
  does. Which of the documents that share a docid leads is not the model's.

  Args:
    retriever: The model; a `Retriever`, or what searches tokens as it does.
    pairs: What it was trained on.
    num_beams: Docids kept a step of the search.

  Returns:
    `Hits@1` of all, `Hits@1 TASK` of each task, and `pairs`, their number.
  """
  tokens = [row.tolist() for row in pairs.tokens]
  found = retriever.search_tokens(tokens, k=1, num_beams=num_beams)
  codes = retriever.table.codes
  docnos = Docnos.from_strings(retriever.table.docnos)
  firsts = iter(docnos.rows([best[0].docno for best in found if best]))
  hits: dict[str, list[bool]] = {}
  for best, documents, task in zip(
    found, pairs.documents, pairs.tasks, strict=True
  ):
    known = False
    if best:
      same = codes[list(documents)] == codes[next(firsts)]
      known = bool(same.all(axis=1).any())
    hits.setdefault(task, []).append(known)
  every = [hit for one in hits.values() for hit in one]
  return {
    "Hits@1": float(np.mean(every)),
    **{f"Hits@1 {task}": float(np.mean(one)) for task, one in hits.items()},
    "pairs": len(every),
  }


def measured(
  folder: Path,
  examples: Mapping[str, Examples],
  count: int,
  *,
  opened: Opened | None = None,
) -> dict[str, float]:
  """Measures the model of a folder, once for a count and a checkpoint.

  Args:
    folder: A finished model folder; FILE in it keeps the figures. Those of a
      model whose checkpoints are gone stand.
    examples: What it was trained on, by task.
    count: How many pairs are searched.
    opened: How a model is opened that writes no docids.

  Returns:
    What `measure` does, with the `count` asked for and the `checkpoint`.
  """
  opened = opened or _writer_of_docids(folder)
  path = folder / FILE
  best = _best(folder, opened.dev_measure)
  if path.exists():
    known = artifacts.read_json(path)
    same = best is None or known.get("checkpoint") == best
    if same and known.get("count") == count:
      return known
  retriever = opened.load("best" if best is None else best)
  found = measure(retriever, sample(examples, count))
  found |= {"count": count, "checkpoint": best}
  artifacts.write_json(path, found)
  return found


def announce(found: Mapping[str, float]) -> None:
  """Prints what `measured` returned, in a line."""
  print(f"training pairs whose document comes first: {found['Hits@1']:.3f}")


def _writer_of_docids(folder: Path) -> Opened:
  return Opened(
    dev_measure=ModelSpec.load(folder).dev_measure,
    load=lambda checkpoint: Retriever.load(folder, checkpoint=checkpoint),
  )


def _best(folder: Path, measure: str | None) -> int | None:
  """Returns the step of the checkpoint that searches use, if there is one."""
  path = folder / CHECKPOINTS
  if not path.is_dir():
    return None
  checkpoints = Checkpoints(path, measure=measure, read_only=True)
  try:
    return checkpoints.best
  finally:
    checkpoints.close()


def _gather(examples: Examples, wanted: Mapping[bytes, set[int]]) -> None:
  """Adds to each wanted input the documents that it stands for.

  Lengths are compared first, then a few tokens, then what is left.
  """
  kinds: dict[int, list[np.ndarray]] = {}
  for key in wanted:
    tokens = np.frombuffer(key, examples.tokens.dtype)
    kinds.setdefault(len(tokens), []).append(tokens)
  marks = {
    length: _marks(np.concatenate(same), np.arange(len(same)) * length, length)
    for length, same in kinds.items()
  }
  for start in range(0, examples.num_examples, _CHUNK):
    offsets = np.asarray(examples.offsets[start : start + _CHUNK + 1])
    tokens = np.asarray(examples.tokens[offsets[0] : offsets[-1]])
    lengths, begins = np.diff(offsets), offsets[:-1] - offsets[0]
    for length, known in marks.items():
      rows = np.flatnonzero(lengths == length)
      like = np.isin(_marks(tokens, begins[rows], length), known)
      for row in (rows[like] + start).tolist():
        documents = wanted.get(examples[row].tobytes(), set())
        documents.add(int(examples.documents[row]))


def _marks(tokens: np.ndarray, begins: np.ndarray, length: int) -> np.ndarray:
  """Reads a few tokens of inputs of one length, each input's as a number.

  >>> found = _marks(np.array([7, 8, 9, 1], np.uint16), np.array([0, 2]), 2)
  >>> [f"{mark:x}" for mark in found]
  ['7000700070008', '9000900090001']

  Args:
    tokens: Of many inputs, end to end.
    begins: Where each begins [N].
    length: Of each.

  Returns:
    uint64 [N]; equal inputs have equal ones.
  """
  out = np.zeros(len(begins), np.uint64)
  for place in np.linspace(0, length - 1, _COMPARED).astype(np.int64):
    out = out << np.uint64(16) | tokens[begins + place].astype(np.uint64)
  return out
