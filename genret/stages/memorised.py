"""Whether a model knows what it was shown: training pairs, searched.

An order of models says something only where each has learned its pairs by
heart; one that has not is merely trained less.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from genret.core import artifacts
from genret.retrieval.generative import Retriever
from genret.tasks import feed
from genret.tasks.examples import Examples
from genret.tasks.host_tensorflow import seqio

FILE = "memorised.json"
NUM_BEAMS = 10


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
  retriever: Retriever, pairs: Pairs, *, num_beams: int = NUM_BEAMS
) -> dict[str, float]:
  """Returns the share of pairs whose document comes first.

  An input that stands for several documents counts when one of them does.

  Args:
    retriever: The model.
    pairs: What it was trained on.
    num_beams: Docids kept a step of the search.

  Returns:
    `Hits@1` of all, `Hits@1 TASK` of each task, and `pairs`, their number.
  """
  tokens = [row.tolist() for row in pairs.tokens]
  found = retriever.search_tokens(tokens, k=1, num_beams=num_beams)
  docnos = retriever.table.docnos
  hits: dict[str, list[bool]] = {}
  for best, documents, task in zip(
    found, pairs.documents, pairs.tasks, strict=True
  ):
    known = bool(best) and best[0].docno in {docnos[d] for d in documents}
    hits.setdefault(task, []).append(known)
  every = [hit for one in hits.values() for hit in one]
  return {
    "Hits@1": float(np.mean(every)),
    **{f"Hits@1 {task}": float(np.mean(one)) for task, one in hits.items()},
    "pairs": len(every),
  }


def measured(
  folder: Path, examples: Mapping[str, Examples], count: int
) -> dict[str, float]:
  """Measures the model of a folder, once.

  Args:
    folder: A finished model folder; FILE in it keeps the figures.
    examples: What it was trained on, by task.
    count: How many pairs are searched.
  """
  path = folder / FILE
  if path.exists():
    return json.loads(path.read_text(encoding="utf-8"))
  found = measure(Retriever.load(folder), sample(examples, count))
  artifacts.write_json(path, found)
  return found


def _gather(examples: Examples, wanted: Mapping[bytes, set[int]]) -> None:
  """Adds to each wanted input the documents that it stands for."""
  for row in range(examples.num_examples):
    documents = wanted.get(examples[row].tobytes())
    if documents is not None:
      documents.add(int(examples.documents[row]))
