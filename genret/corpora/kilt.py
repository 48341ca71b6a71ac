"""KILT's layout: one Wikipedia for many tasks, all of it JSON lines."""

import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genret.core.collection import Document, Query
from genret.core.errors import ConfigError, DataError, suggest
from genret.corpora import files
from genret.corpora.beir import name_of
from genret.corpora.files import Line
from genret.corpora.source import (
  Fault,
  Judgement,
  OnError,
  Source,
  Stream,
  checked,
  json_object,
)

KNOWLEDGE = "kilt_knowledgesource.json"

_TASK_FILE = re.compile(r"(.+)-(train|dev|test)-kilt\.jsonl")
# How the knowledge source marks what is no plain paragraph.
_MARKS = ("Section::::", "BULLET::::")


def read(
  root: Path | str,
  *,
  task: str | None = None,
  name: str | None = None,
  on_error: OnError = "raise",
) -> Source:
  """Opens a task of KILT over the pages of its knowledge source.

  A page is one document: its `wikipedia_id`, its title, and its paragraphs,
  one a line, without the first where that repeats the title. Each page that
  is the provenance of any of a query's outputs is relevant to it, grade 1;
  outputs without provenance judge nothing.

  Args:
    root: the folder, or a tar archive of one, with `kilt_knowledgesource.json`
      and `TASK-train-kilt.jsonl`, `TASK-dev-kilt.jsonl`, …, as published; its
      files may be gzipped. Files "test_without_answers" are not read.
    task: such as "nq"; None takes the only one there is.
    name: of the collection; None takes the folder's.
    on_error: "raise" at the first fault, or "skip" and count.

  Returns:
    The source. A split for each of the task's files.

  Raises:
    ConfigError: no such task, or several and none was chosen.
    DataError: a file is missing; while reading, what is wrong and where.
  """
  root = Path(root)
  found = files.find(root, marker=KNOWLEDGE)
  pages, splits = found[KNOWLEDGE], _splits(found, task, root)
  return checked(
    name or name_of(root),
    documents=Stream(lines=pages.lines, parse=_document),
    queries=Stream(lines=lambda: _all_lines(splits), parse=_query),
    qrels={
      split: Stream(lines=functools.partial(_evidence, file), parse=_judgement)
      for split, file in splits.items()
    },
    origin=lambda: files.digests({KNOWLEDGE: pages, **_named(splits)}),
    on_error=on_error,
  )


def _splits(
  found: Mapping[str, files.File], task: str | None, root: Path
) -> dict[str, files.File]:
  """Returns split -> file of one task."""
  tasks: dict[str, dict[str, files.File]] = {}
  for path, file in sorted(found.items()):
    if match := _TASK_FILE.fullmatch(path):
      tasks.setdefault(match[1], {})[match[2]] = file
  if not tasks:
    raise DataError("holds no TASK-SPLIT-kilt.jsonl, plain or .gz", path=root)
  if task is None and len(tasks) > 1:
    raise ConfigError(
      f"{root} holds the tasks {', '.join(tasks)}; choose one by the "
      f"parameter kilt.read.task, as collections/kilt_nq.gin does."
    )
  chosen = next(iter(tasks)) if task is None else task
  if chosen not in tasks:
    raise ConfigError(
      f"{root} holds no task {chosen!r}.{suggest(chosen, tasks)}"
    )
  return tasks[chosen]


def _named(splits: Mapping[str, files.File]) -> dict[str, files.File]:
  return {f"{split}.jsonl": file for split, file in splits.items()}


def _all_lines(splits: Mapping[str, files.File]) -> Iterator[Line]:
  return itertools.chain.from_iterable(f.lines() for f in splits.values())


def _evidence(file: files.File) -> Iterator[Line]:
  """Yields a line for each page that a line of a task refers to.

  A line at fault passes as its fault, for the parser to raise.
  """
  for line in file.lines():
    try:
      row = json_object(line.value)
      values = [(_string(row, "id"), page) for page in _provenance(row)]
    except Fault as fault:
      values = [fault]
    for value in values:
      yield Line(path=line.path, number=line.number, value=value)


def _provenance(row: Mapping[str, Any]) -> list[str]:
  """Lists the pages of all outputs, each once.

  >>> _provenance({"output": [{"answer": "x"}, {"provenance": [
  ...   {"wikipedia_id": "7"}, {"wikipedia_id": 8}, {"wikipedia_id": "7"}]}]})
  ['7', '8']
  """
  pages = [
    _string(item, "wikipedia_id")
    for output in _objects(row, "output")
    for item in _objects(output, "provenance")
  ]
  return list(dict.fromkeys(pages))


def _document(value: bytes) -> Document:
  row = json_object(value)
  title = str(row.get("wikipedia_title") or "").strip()
  paragraphs = row.get("text")
  if not isinstance(paragraphs, list) or not all(
    isinstance(paragraph, str) for paragraph in paragraphs
  ):
    raise Fault("broken JSON", "'text' is not a list of strings")
  lines = [_unmarked(paragraph) for paragraph in paragraphs]
  if lines[:1] == [title]:
    del lines[0]
  return Document(
    docno=_string(row, "wikipedia_id"),
    title=title,
    text="\n".join(line for line in lines if line),
  )


def _query(value: bytes) -> Query:
  row = json_object(value)
  text = row.get("input")
  if not isinstance(text, str):
    raise Fault("broken JSON", f"'input' is {text!r}, not a string")
  return Query(query_id=_string(row, "id"), text=text)


def _judgement(value: tuple[str, str] | Fault) -> Judgement:
  if isinstance(value, Fault):
    raise value
  query_id, docno = value
  return Judgement(query_id=query_id, docno=docno, grade=1)


def _unmarked(paragraph: str) -> str:
  r"""Leaves out the mark of a heading or of an item.

  >>> _unmarked("Section::::Early life.\n"), _unmarked("BULLET::::- one\n")
  ('Early life.', '- one')
  """
  for mark in _MARKS:
    paragraph = paragraph.removeprefix(mark)
  return paragraph.strip()


def _string(row: Mapping[str, Any], key: str) -> str:
  found = row.get(key)
  if isinstance(found, int) and not isinstance(found, bool):
    return str(found)
  if not isinstance(found, str) or not found:
    raise Fault(f"missing {key}", f"a string is expected and {found!r} came")
  return found


def _objects(row: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
  found = row.get(key) or []
  if not isinstance(found, list) or not all(
    isinstance(item, dict) for item in found
  ):
    raise Fault("broken JSON", f"{key!r} is not a list of objects")
  return found
