"""A report as one HTML file that opens anywhere, offline."""

import functools
import html
import itertools
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import genret
from genret.studies import report_words as wording
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
)

PLOTS = "plots"
TALL = 25  # lines of a table, from which it scrolls
SHOWN = 3  # plots of a kind; others are folded away
Draw = Callable[[Picture], str]
_DATA = Path(genret.__file__).parent / "data" / "report"
_POLICY = (
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<div class="page">
<header>
<h1>{title}</h1>
{head}
</header>
<nav aria-label="Sections">
<ul>
{links}
</ul>
</nav>
<main id="main">
{sections}
</main>
</div>
<script>
{script}</script>
</body>
</html>
"""


def page(
  title: str,
  sections: Sequence[Section],
  *,
  head: Iterable[Block],
  draw: Draw,
) -> str:
  """Returns the page.

  Args:
    title: Of it.
    sections: Of it, in order.
    head: What stands before the first.
    draw: Returns the SVG of a plot, to stand in the page.
  """
  return _PAGE.format(
    policy=_POLICY,
    title=_text(title),
    style=(_DATA / "page.css").read_text("utf-8"),
    script=(_DATA / "page.js").read_text("utf-8"),
    head="\n".join(block(one, draw) for one in head),
    links="\n".join(
      f'<li><a href="#{one.anchor}">{_text(one.title)}</a></li>'
      for one in sections
    ),
    sections="\n".join(_section(one, draw) for one in sections),
  )


def _section(one: Section, draw: Draw) -> str:
  """Returns a section; plots that follow each other stand beside each other."""
  groups = [
    (kind, list(blocks))
    for kind, blocks in itertools.groupby(
      one.blocks,
      lambda block: "plots" if isinstance(block, Gallery) else "text",
    )
  ]
  inner = "\n".join(
    f'<div class="{kind}">\n'
    + "\n".join(block(part, draw) for part in blocks)
    + "\n</div>"
    for kind, blocks in groups
  )
  beside = [kind for kind, _ in groups] == ["text", "plots"]
  kind = ' class="beside"' if beside else ""
  return (
    f'<section id="{one.anchor}" aria-labelledby="{one.anchor}-title"{kind}>\n'
    f'<h2 id="{one.anchor}-title">{_text(one.title)}</h2>\n{inner}\n</section>'
  )


@functools.singledispatch
def block(one: Block, draw: Draw) -> str:
  """Returns the HTML of a block."""
  raise TypeError(f"no block: {type(one).__name__}")


@block.register
def _(one: Paragraph, draw: Draw) -> str:
  kind = ' class="aside"' if one.muted else ""
  return f"<p{kind}>{inline(one.text)}</p>"


@block.register
def _(one: Heading, draw: Draw) -> str:
  return f'<h3 id="{one.anchor}">{_text(one.text)}</h3>'


@block.register
def _(one: Items, draw: Draw) -> str:
  tag, start = ("ol", f' start="{one.first}"') if one.ordered else ("ul", "")
  items = "\n".join(f"<li>{inline(text)}</li>" for text in one.items)
  return f"<{tag}{start}>\n{items}\n</{tag}>"


@block.register
def _(one: Table, draw: Draw) -> str:
  return table(one)


@block.register
def _(one: Gallery, draw: Draw) -> str:
  figures = [_figure(picture, draw) for picture in one.pictures]
  first, more = ("\n".join(part) for part in (figures[:SHOWN], figures[SHOWN:]))
  found = f'<div class="gallery">\n{first}\n</div>'
  if more:
    found += (
      f'\n<details class="more">\n<summary>{len(figures) - SHOWN} more plots'
      f'</summary>\n<div class="gallery">\n{more}\n</div>\n</details>'
    )
  width = min(len(figures), 3)
  return (
    f'<div class="kind kind-{width}" id="{one.anchor}">\n'
    f'<h3>{_text(one.title)}</h3>\n<p class="aside">{_text(one.caption)}</p>\n'
    f"{found}\n</div>"
  )


def table(one: Table) -> str:
  """Returns a table that scrolls where it is wider than the page."""
  classes = ["" if name in one.words else ' class="n"' for name in one.head]
  head = "".join(
    f'<th scope="col"{kind}>{_text(name)}</th>'
    for name, kind in zip(one.head, classes, strict=True)
  )
  lines = "\n".join(_line(line, classes) for line in one.lines)
  title = _text(one.title)
  kind = "scroll tall" if len(one.lines) > TALL else "scroll"
  found = (
    f'<p class="caption">{title}</p>\n'
    f'<div class="{kind}" role="region" tabindex="0" aria-label="{title}">\n'
    f"<table>\n<thead><tr>{head}</tr></thead>\n"
    f"<tbody>\n{lines}\n</tbody>\n</table>\n</div>"
  )
  if any(cell.mark for line in one.lines for cell in line.cells):
    found += f'\n<p class="marks">{_text(wording.MARKS)}</p>'
  return found


def inline(text: Text) -> str:
  """Returns words with their links.

  >>> inline(["a < b: ", Link(text="run", href="cells/a b/run.trec")])
  'a &lt; b: <a href="cells/a%20b/run.trec">run</a>'
  """
  return "".join(
    _link(part.text, part.href) if isinstance(part, Link) else _text(part)
    for part in text
  )


def _figure(one: Picture, draw: Draw) -> str:
  files = " ".join(
    _link(ending.upper(), f"{PLOTS}/{one.name}.{ending}")
    for ending in ("png", "svg")
  )
  return (
    f'<figure id="{one.name}">\n{draw(one)}\n<figcaption>\n<details>\n'
    f"<summary>Its figures, and files</summary>\n<p>{files}</p>\n"
    f"{table(one.table)}\n</details>\n</figcaption>\n</figure>"
  )


def _line(line: Line, classes: Sequence[str]) -> str:
  first, *rest = line.cells
  anchor = f' id="{line.anchor}"' * bool(line.anchor)
  cells = "".join(
    f"<td{kind}>{_cell(cell)}</td>"
    for cell, kind in zip(rest, classes[1:], strict=True)
  )
  return f'<tr{anchor}><th scope="row">{_cell(first)}</th>{cells}</tr>'


def _cell(cell: Cell) -> str:
  text = _link(cell.text, cell.href) if cell.href else _text(cell.text)
  note = f"<small>{_text(cell.note)}</small>" if cell.note else ""
  return text + cell.mark + note + " ".join(inline([one]) for one in cell.links)


def _link(text: str, href: str) -> str:
  where = href if href.startswith("#") else urllib.parse.quote(href)
  return f'<a href="{html.escape(where)}">{_text(text)}</a>'


def _text(text: str) -> str:
  return html.escape(text)
