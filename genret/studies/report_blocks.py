"""What a report consists of, before it is a page or a text.

The page and report.md say the same: both are renderings of these.
"""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link:
  """Words that lead somewhere.

  Attributes:
    text: What is read.
    href: Relative to the report; #anchor within it.
  """

  text: str
  href: str


Inline = str | Link
Text = Sequence[Inline]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paragraph:
  """Some sentences.

  Attributes:
    text: Of it.
    muted: Whether it is an aside.
  """

  text: Text
  muted: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heading:
  """A title within a section.

  Attributes:
    text: Of it.
    anchor: By which it is found.
  """

  text: str
  anchor: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Items:
  """A list.

  Attributes:
    items: Of it.
    ordered: Whether they are numbered; plots refer to the numbers.
    first: The first number.
  """

  items: Sequence[Text]
  ordered: bool = False
  first: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
  """A cell of a table.

  Attributes:
    text: Of it.
    href: Where it leads; "" for nowhere.
    note: Behind it, smaller.
    links: Behind both.
    mark: A dagger or two, after the text.
  """

  text: str
  href: str = ""
  note: str = ""
  links: Sequence[Link] = ()
  mark: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
  """A line of a table.

  Attributes:
    cells: Of it; the first names it.
    anchor: By which links lead to it; "" for none.
  """

  cells: Sequence[Cell]
  anchor: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
  """A table.

  Attributes:
    title: What it shows.
    head: Names of its columns.
    lines: Of it.
    words: The columns that hold words and not numbers.
  """

  title: str
  head: Sequence[str]
  lines: Sequence[Line]
  words: Sequence[str] = ("row", "runs", "knows beforehand")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
  """A plot.

  Attributes:
    name: Of its files, without the ending.
    title: What it shows.
    table: Its figures.
    points: Id of a point in the SVG -> what it shows.
  """

  name: str
  title: str
  table: Table
  points: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
  """Plots beside each other.

  Attributes:
    title: What they show.
    anchor: By which they are found.
    caption: How they are read.
    pictures: Of it.
  """

  title: str
  anchor: str
  caption: str
  pictures: Sequence[Picture]


Block = Paragraph | Heading | Items | Table | Gallery


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
  """A part of a report.

  Attributes:
    title: Of it.
    anchor: By which it is found.
    blocks: In it.
  """

  title: str
  anchor: str
  blocks: Sequence[Block]


def joined(parts: Sequence[Inline], between: str = ", ") -> list[Inline]:
  """Puts something between parts.

  >>> joined(["a", "b", "c"])
  ['a', ', ', 'b', ', ', 'c']
  """
  found: list[Inline] = []
  for part in parts:
    found += [between, part] if found else [part]
  return found
