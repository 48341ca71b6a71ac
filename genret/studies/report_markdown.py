"""A report as markdown."""

import functools
import re
from collections.abc import Iterable

from genret.studies.report_blocks import (
  Block,
  Cell,
  Gallery,
  Heading,
  Items,
  Line,
  Link,
  Paragraph,
  Picture,
  Section,
  Table,
  Text,
  joined,
)

PLOTS = "plots"
_SIGNS = re.compile(r"[\\|*<`\[\]]")
_SPACES = re.compile(r"\s+")


def markdown(
  title: str, sections: Iterable[Section], *, head: Iterable[Block] = ()
) -> str:
  """Returns the text of a report.

  Args:
    title: Of it.
    sections: Of it, in order.
    head: What stands before the first.
  """
  parts = [f"# {_plain(title)}", *map(block, head)]
  for section in sections:
    parts.append(f"## {_plain(section.title)}")
    parts += map(block, section.blocks)
  return "\n\n".join(parts) + "\n"


@functools.singledispatch
def block(one: Block) -> str:
  """Returns the text of a block."""
  raise TypeError(f"no block: {type(one).__name__}")


@block.register
def _(one: Paragraph) -> str:
  return inline(one.text)


@block.register
def _(one: Heading) -> str:
  return f"### {_plain(one.text)}"


@block.register
def _(one: Items) -> str:
  starts = (
    (f"{number}." if one.ordered else "*")
    for number in range(one.first, one.first + len(one.items))
  )
  return "\n".join(
    f"{start} {inline(text)}"
    for start, text in zip(starts, one.items, strict=True)
  )


@block.register
def _(one: Table) -> str:
  rules = ["---" if name in one.words else "---:" for name in one.head]
  head = [_plain(name) for name in one.head]
  lines = [head, rules, *(_cells(line) for line in one.lines)]
  laid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
  return f"**{_plain(one.title)}**\n\n{laid}"


@block.register
def _(one: Gallery) -> str:
  pictures = map(_picture, one.pictures)
  title, caption = f"### {_plain(one.title)}", _plain(one.caption)
  return "\n\n".join([title, caption, *pictures])


def inline(text: Text) -> str:
  """Returns words with their links.

  >>> inline(["see ", Link(text="run", href="cells/a b/run.trec"), "."])
  'see [run](<cells/a b/run.trec>).'
  """
  return "".join(
    _link(part.text, part.href) if isinstance(part, Link) else _plain(part)
    for part in text
  )


def _picture(one: Picture) -> str:
  return f"![{_plain(one.title)}]({PLOTS}/{one.name}.png)"


def _cells(line: Line) -> list[str]:
  first, *rest = [_cell(cell) for cell in line.cells]
  anchor = f'<a id="{line.anchor}"></a>' if line.anchor else ""
  return [anchor + first, *rest]


def _cell(cell: Cell) -> str:
  text = cell.text + cell.mark
  shown = _link(text, cell.href) if cell.href else _plain(text)
  parts = [shown, _plain(cell.note), inline(joined(cell.links, " "))]
  return " ".join(part for part in parts if part)


def _link(text: str, href: str) -> str:
  return f"[{_plain(text)}](<{href}>)"


def _plain(text: str) -> str:
  """Keeps text from being read as markdown, and on one line."""
  return _SPACES.sub(" ", _SIGNS.sub(r"\\\g<0>", text))
