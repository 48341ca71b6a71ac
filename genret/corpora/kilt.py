"""KILT's layout: one Wikipedia for many tasks, all of it JSON lines."""

import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genret.core.collection import Document, Query
from genret.core.errors import ConfigError, DataError, suggest
from genret.core.links import SourcePage
from genret.corpora import files, passages
from genret.corpora.beir import name_of
from genret.corpora.files import Line
from genret.corpora.passages import PageParts, Part, SourceAnchor, Unit
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
_HEADING = "Section::::"
_MARKS = (_HEADING, "BULLET::::")


def read(
  root: Path | str,
  *,
  task: str | None = None,
  name: str | None = None,
  unit: Unit = "page",
  on_error: OnError = "raise",
) -> Source:
  """Opens a task of KILT over the pages of its knowledge source.

  A page is one document: its `wikipedia_id`, its title, and its paragraphs,
  one a line, without the first where that repeats the title. Each page that
  is the provenance of any of a query's outputs is relevant to it, grade 1;
  outputs without provenance judge nothing.

  Or each paragraph is one, under the page's title: paragraph 3 of page 290 is
  document 290-3, as KILT counts paragraphs; headings are none. Relevant is
  the paragraph in which a provenance starts; one that says of no paragraph
  is a fault.

  The anchors of pages become the collection's links.

  Args:
    root: the folder, or a tar archive of one, with `kilt_knowledgesource.json`
      and `TASK-train-kilt.jsonl`, `TASK-dev-kilt.jsonl`, …, as published; its
      files may be gzipped. Files "test_without_answers" are not read.
    task: such as "nq"; None takes the only one there is.
    name: of the collection; None takes the folder's.
    unit: what is a document: "page" or "paragraph".
    on_error: "raise" at the first fault, or "skip" and count.

  Returns:
    The source. A split for each of the task's files.

  Raises:
    ConfigError: no such unit; no such task, or several and none was chosen.
    DataError: a file is missing; while reading, what is wrong and where.
  """
  if unit not in passages.UNITS:
    raise ConfigError(f"unit is {unit!r}.{suggest(str(unit), passages.UNITS)}")
  root = Path(root)
  found = files.find(root, marker=KNOWLEDGE)
  pages, splits = found[KNOWLEDGE], _splits(found, task, root)

  def origin() -> dict[str, str]:
    read = files.digests({KNOWLEDGE: pages, **_named(splits)})
    return read if unit == "page" else {**read, "unit": unit}

  return checked(
    name or name_of(root),
    documents=Stream(
      lines=functools.partial(_documents, pages, unit), parse=_or_fault
    ),
    queries=Stream(lines=lambda: _all_lines(splits), parse=_query),
    qrels={
      split: Stream(
        lines=functools.partial(_evidence, file, unit), parse=_judgement
      )
      for split, file in splits.items()
    },
    origin=origin,
    on_error=on_error,
    links=Stream(lines=pages.lines, parse=functools.partial(_links, unit=unit)),
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


def _documents(pages: files.File, unit: Unit) -> Iterator[Line]:
  """Yields a line for each document of each page, or for a page's fault."""
  for line in pages.lines():
    try:
      page = _page(json_object(line.value))
      values: list[Document | Fault] = [*passages.documents(page, unit)]
    except Fault as fault:
      values = [fault]
    for value in values:
      yield Line(path=line.path, number=line.number, value=value)


def _or_fault(value: Document | Fault) -> Document:
  if isinstance(value, Fault):
    raise value
  return value


def _evidence(file: files.File, unit: Unit) -> Iterator[Line]:
  """Yields a line for each document that a line of a task refers to.

  A line at fault passes as its fault, for the parser to raise.
  """
  for line in file.lines():
    try:
      row = json_object(line.value)
      values = [(_string(row, "id"), d) for d in _provenance(row, unit)]
    except Fault as fault:
      values = [fault]
    for value in values:
      yield Line(path=line.path, number=line.number, value=value)


def _provenance(row: Mapping[str, Any], unit: Unit) -> list[str]:
  """Lists the documents of all outputs, each once.

  >>> row = {"output": [{"answer": "x"}, {"provenance": [
  ...   {"wikipedia_id": "7", "start_paragraph_id": 2},
  ...   {"wikipedia_id": 8, "start_paragraph_id": 1},
  ...   {"wikipedia_id": "7", "start_paragraph_id": 5}]}]}
  >>> _provenance(row, "page"), _provenance(row, "paragraph")
  (['7', '8'], ['7-2', '8-1', '7-5'])
  """
  found = [
    _place(item, unit)
    for output in _objects(row, "output")
    for item in _objects(output, "provenance")
  ]
  return list(dict.fromkeys(found))


def _place(item: Mapping[str, Any], unit: Unit) -> str:
  page = _string(item, "wikipedia_id")
  if unit == "page":
    return page
  number = item.get("start_paragraph_id")
  if not _is_count(number):
    raise Fault(
      "provenance without a paragraph",
      f"start_paragraph_id is {number!r}; read this task with unit='page'",
    )
  return passages.passage_docno(page, number)


def _page(row: Mapping[str, Any]) -> PageParts:
  title = str(row.get("wikipedia_title") or "").strip()
  paragraphs = row.get("text")
  if not isinstance(paragraphs, list) or not all(
    isinstance(paragraph, str) for paragraph in paragraphs
  ):
    raise Fault("broken JSON", "'text' is not a list of strings")
  parts = [_part(i, paragraph) for i, paragraph in enumerate(paragraphs)]
  if parts and parts[0].text == title:
    del parts[0]
  return PageParts(
    page=_string(row, "wikipedia_id"),
    title=title,
    parts=[part for part in parts if part.text],
  )


def _links(value: bytes, *, unit: Unit) -> SourcePage:
  row = json_object(value)
  found = row.get("anchors") or []
  if not isinstance(found, list):
    found = [found]
  return passages.linked(_page(row), [_anchor(item) for item in found], unit)


def _anchor(item: object) -> SourceAnchor:
  """Reads an anchor; one that is no object, or of no place, is nowhere.

  The text of a page is whole without it, so it is no fault of the page.
  """
  fields = item if isinstance(item, dict) else {}
  places = [fields.get(key) for key in ("paragraph_id", "start", "end")]
  number, start, end = places if all(map(_is_count, places)) else (-1, 0, 0)
  page = fields.get("wikipedia_id")
  return SourceAnchor(
    number=number,
    start=start,
    end=end,
    page=None if page is None or page == "" else str(page),
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


def _part(number: int, paragraph: str) -> Part:
  r"""Leaves out the mark of a heading or of an item.

  >>> _part(1, "Section::::Early life.\n")
  Part(number=1, text='Early life.', heading=True, cut=11)
  >>> _part(2, "BULLET::::- one\n")
  Part(number=2, text='- one', heading=False, cut=10)
  """
  bare = paragraph
  for mark in _MARKS:
    bare = bare.removeprefix(mark)
  text = bare.lstrip()
  return Part(
    number=number,
    text=text.rstrip(),
    heading=paragraph.startswith(_HEADING),
    cut=len(paragraph) - len(text),
  )


def _is_count(value: object) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value >= 0


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
