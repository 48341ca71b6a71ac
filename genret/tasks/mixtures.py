"""Seqio mixtures from a collection, docids and rates."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import text
from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.docnos import Docnos
from genret.core.errors import ArtifactError, ConfigError
from genret.tasks import example_store, sources
from genret.tasks.examples import Examples, TaskConfig
from genret.tasks.host_tensorflow import seqio
from genret.tasks.sources import ExamplesSource, make_task

_FORMAT = 1  # of how examples are made; part of every name


def build(
  collection: Collection | Path | str,
  docids: DocidTable | Path | str,
  *,
  tasks: Sequence[TaskConfig],
  input_length: int = 128,
  vocabulary: str = "t5",
  cache_dir: str | None = None,
) -> seqio.Mixture:
  """Makes a seqio mixture, and registers it and its tasks with seqio.

  The names are hashes of the content, so that the same call finds what is
  registered already, and any other call something else. Inputs are
  tokenised here: in memory, two bytes a token, or in the folder of a cache,
  where later runs find them and memory holds only what is read. Batches are
  the same either way.

  Args:
    collection: a prepared collection, or its folder.
    docids: its docid table, or the folder of one.
    tasks: what is mixed, each with its rate, as in
      [FirstP(rate=1.0), LabelledQueries(rate=2.0)]; with rates of None, each
      example is as likely as any other.
    input_length: the most ids an input may have, start and end included.
      Longer ones are cut, and counted by `describe`.
    vocabulary: the name of the one that turns texts into ids, which is the
      model's: see `core.text.vocabulary`. Training passes it.
    cache_dir: the folder of a cache, new or of `genret cache`; None keeps
      the examples in memory.

  Returns:
    The mixture. `training_batches` and `seqio.get_dataset` read it, and
    t5x knows it by its name.

  Raises:
    ConfigError: tasks do not go together, or one has no example.
    ArtifactError: the docids are of another collection.
  """
  if cache_dir is not None:  # where `use_cached=True` looks
    seqio.add_global_cache_dirs([str(Path(cache_dir) / example_store.SEQIO)])
  parts = checked(
    collection,
    docids,
    tasks=tasks,
    input_length=input_length,
    vocabulary=vocabulary,
  )
  rates = []
  for config in tasks:
    name = parts.name(config)
    known = name in seqio.TaskRegistry.names()
    if not known or cache_dir is not None:
      examples = _examples(config, parts, cache_dir=cache_dir)
    if not known:
      source = ExamplesSource(
        examples,
        table=parts.table,
        docids=parts.docids,
        config=config,
        vocabulary=vocabulary,
      )
      seqio.TaskRegistry.add_provider(name, make_task(name, source))
    elif cache_dir is not None:  # the same examples, now mapped from there
      seqio.TaskRegistry.get(name).source.examples = examples
    rates.append((name, _rate(config, name)))
  return registered(rates)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
  """What a mixture is made of, once it is sure that it goes together.

  Attributes:
    collection: what is read.
    table: its docids.
    docids: the hash of the table's content.
    input_length: the most ids an input may have, start and end included.
    vocabulary: the name of the one that turns texts into ids.
  """

  collection: Collection
  table: DocidTable
  docids: str
  input_length: int
  vocabulary: str = "t5"

  def name(self, config: TaskConfig, prefix: str = "genret") -> str:
    """Names a task by its content."""
    content = {
      "format": _FORMAT,
      "collection": self.collection.identity,
      "docids": self.docids,
      "input_length": self.input_length,
      "task": config.content(),
    }
    if self.vocabulary != "t5":  # names without one are T5's
      content["vocabulary"] = self.vocabulary
    return f"{prefix}_{config.name}_{_hash(content)}"


def checked(
  collection: Collection | Path | str,
  docids: DocidTable | Path | str,
  *,
  tasks: Sequence[TaskConfig],
  input_length: int,
  vocabulary: str = "t5",
) -> Parts:
  """Opens what a mixture is made of; arguments and errors as for `build`."""
  collection = _opened(collection, Collection, Collection.open)
  table = _opened(docids, DocidTable, DocidTable.load)
  _check_tasks(tasks)
  check_same_documents(collection, table)
  least = len(text.vocabulary(vocabulary).start_ids) + 2
  if input_length < least:
    raise ConfigError(
      f"input_length must be at least {least}; {input_length} came."
    )
  return Parts(
    collection=collection,
    table=table,
    docids=digest(table),
    input_length=input_length,
    vocabulary=vocabulary,
  )


def registered(rates: Sequence[tuple[str, float]]) -> seqio.Mixture:
  """Registers a mixture of registered tasks, unless seqio knows it.

  Args:
    rates: pairs of a task's name and its rate.

  Returns:
    The mixture, named by the hash of the rates.
  """
  name = f"genret_mixture_{_hash({'rates': sorted(rates)})}"
  if name not in seqio.MixtureRegistry.names():
    seqio.MixtureRegistry.add(name, list(rates))
  return seqio.MixtureRegistry.get(name)


def _examples(
  config: TaskConfig, parts: Parts, *, cache_dir: str | None
) -> Examples:
  length = parts.input_length
  if cache_dir is None:
    vocabulary = text.vocabulary(parts.vocabulary)
    return config.examples(parts.collection, vocabulary, input_length=length)
  return example_store.stored(
    config,
    parts.collection,
    input_length=length,
    cache_dir=Path(cache_dir),
    vocabulary=parts.vocabulary,
  )


def _rate(config: TaskConfig, name: str) -> float:
  """Returns the mixing rate of a registered task."""
  if config.rate is None:
    return float(seqio.TaskRegistry.get(name).source.examples.num_examples)
  return float(config.rate)


def describe(mixture: seqio.Mixture) -> str:
  """Lists the tasks of a mixture.

  Args:
    mixture: from `build`; of another, only names and shares are known.

  Returns:
    A table: share of the mixture, examples, share of documents that have
    one, mean ids of an input, and how many inputs were cut.
  """
  lines = [
    f"{'task':12s} {'share':>6s} {'examples':>10s} {'covered':>8s} "
    f"{'ids':>6s} {'cut':>8s}"
  ]
  vocabularies = set()
  for task in mixture.tasks:
    if not isinstance(task.source, ExamplesSource):
      share = mixture.get_rate(task) / mixture.total_rate
      lines.append(f"{task.name} {share:.1%}, read by seqio")
      continue
    examples, table = task.source.examples, task.source.table
    covered = examples.num_covered(table.num_documents) / table.num_documents
    mean = len(examples.tokens) / examples.num_examples
    vocabularies.add(task.source.vocabulary)
    lines.append(
      f"{task.source.config.name:12s} "
      f"{mixture.get_rate(task) / mixture.total_rate:6.1%} "
      f"{examples.num_examples:10,d} {covered:8.1%} "
      f"{mean:6.1f} {examples.num_truncated:8,d}"
    )
  if vocabularies - {"t5"}:
    lines.append(f"ids are of {', '.join(sorted(vocabularies))}")
  return "\n".join(lines)


def in_vocabulary(name: str) -> dict[str, str]:
  """Returns what a function that builds a mixture is told of a vocabulary.

  T5's is not named: functions of one's own need not know of any, and it is
  what `build` takes if nothing is said.

  >>> in_vocabulary("t5"), in_vocabulary("bert_uncased")
  ({}, {'vocabulary': 'bert_uncased'})
  """
  return {} if name == "t5" else {"vocabulary": name}


def check_vocabulary(mixture: seqio.Mixture | str, name: str) -> None:
  """Raises a ConfigError unless a mixture's inputs are of one vocabulary.

  Args:
    mixture: which is trained on, or its name; one that seqio does not know
      is left to whoever reads it.
    name: of the vocabulary that the model reads.
  """
  if isinstance(mixture, str):
    known = {*seqio.MixtureRegistry.names(), *seqio.TaskRegistry.names()}
    if mixture not in known:
      return
    mixture = seqio.get_mixture_or_task(mixture)
  for task in seqio.get_subtasks(mixture):
    found = sources.vocabulary_of(task)
    if found not in (name, None) or (found is None and name != "t5"):
      raise ConfigError(
        f"The model reads the vocabulary {name!r}, and the inputs of task "
        f"{task.name!r} are {f'of {found!r}' if found else 'not known to be'}."
        " Give the mixture as a function, @mixtures.build, which is then "
        f"called with the model's; or build it with vocabulary={name!r}."
      )


def _opened(given: Any, kind: type, load: Any) -> Any:
  return given if isinstance(given, kind) else load(Path(given))


def _check_tasks(tasks: Sequence[TaskConfig]) -> None:
  if not tasks:
    raise ConfigError("A mixture needs at least one task; none came.")
  for config in tasks:
    if not isinstance(config, TaskConfig):
      raise ConfigError(
        "A task of a mixture is an object such as FirstP(rate=1.0), written "
        f"@FirstP() in gin; {config!r} came."
      )
    if not re.fullmatch(r"\w+", config.name):
      raise ConfigError(
        f"The name of a task is letters, digits and _; {config.name!r} came."
      )
  names = [config.name for config in tasks]
  for name in names:
    if names.count(name) > 1:
      raise ConfigError(
        f"Two tasks of the mixture are named {name!r}; give one another name."
      )
  if len({config.rate is None for config in tasks}) > 1:
    raise ConfigError(
      "The rates of a mixture are all numbers, or all None for numbers of "
      f"examples; these are {', '.join(f'{c.name}: {c.rate}' for c in tasks)}."
    )
  splits = {config.split for config in tasks}
  if len(splits) > 1:
    raise ConfigError(
      "The tasks of a mixture read one split of the collection, so that "
      "nothing is trained on by oversight; these read "
      f"{', '.join(f'{c.name}: {c.split}' for c in tasks)}."
    )


def check_same_documents(collection: Collection, table: DocidTable) -> None:
  """Raises an ArtifactError unless docids and collection agree on documents.

  Args:
    collection: what is indexed.
    table: its docids; row i must be document i.
  """
  ours, theirs = collection.docnos, table.docnos
  remedy = "Make the docids from this very collection."
  if len(ours) != len(theirs):
    raise ArtifactError(
      f"Collection {collection.name!r} has {len(ours):,} documents and the "
      f"docids {len(theirs):,}. {remedy}"
    )
  if isinstance(ours, Docnos) and isinstance(theirs, Docnos) and ours == theirs:
    return  # compared as bytes
  for row, (a, b) in enumerate(zip(ours, theirs, strict=True)):
    if a != b:
      raise ArtifactError(
        f"Document {row} of collection {collection.name!r} is {a!r}; the "
        f"docids have {b!r} there. {remedy}"
      )


def digest(table: DocidTable) -> str:
  """Returns the hash of a docid table's content."""
  found = hashlib.sha256(np.ascontiguousarray(table.codes))
  shape = (*table.codes.shape, table.vocab_size, table.text_vocabulary)
  found.update(repr(shape).encode())
  return found.hexdigest()


def _hash(content: dict[str, Any]) -> str:
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
