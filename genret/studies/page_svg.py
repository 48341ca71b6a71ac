"""A plot within a page: its colours, its ids, and what its points show."""

import html
import re
from collections.abc import Mapping

from genret.studies import plots

_HEAD = re.compile(r"^.*?<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", re.DOTALL)
_LEFT_OUT = re.compile(r"\s*<(metadata|style)\b.*?</\1>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]*)"')
_REFERENCE = re.compile(r'url\(#([^)]*)\)|xlink:href="#([^"]*)"')
_FAMILY = re.compile(r"font-family: [^;\"]*;? ?")
_NO_TURN = re.compile(r' transform="rotate\(-0 [^)]*\)"')
_NUMBER = re.compile(r"(\d+\.\d\d)\d{3,}")  # no label has so many digits


def inline(
  svg: str, *, name: str, title: str, points: Mapping[str, str]
) -> str:
  """Returns a plot for a page.

  Its colours become variables of the page, so that they suit light and dark,
  its letters those of the page, and its ids no other plot's.

  Args:
    svg: The file that matplotlib wrote.
    name: Of the plot, before all of its ids.
    title: What it shows, for those who do not see it.
    points: Id of a point -> what it shows, for a mouse that rests there.
  """
  body = _LEFT_OUT.sub("", svg)
  body = _NO_TURN.sub("", _FAMILY.sub("", body))
  label = html.escape(title)
  body = _HEAD.sub(
    lambda found: (
      f'<svg {found[1]} role="img" aria-label="{label}" '
      'stroke-linejoin="round">'
    ),
    body,
    count=1,
  )
  for point, said in points.items():
    mark = f'<g id="{point}">'
    body = body.replace(mark, f"{mark}<title>{html.escape(said)}</title>")
  body = _ID.sub(lambda found: f'id="{name}-{found[1]}"', body)
  body = _REFERENCE.sub(lambda found: _reference(found, name), body)
  for colour, variable in variables().items():
    body = body.replace(colour, f"var(--{variable})")
  return _NUMBER.sub(r"\1", body).strip()


def variables() -> dict[str, str]:
  """Returns colour of a plot -> the page's variable for it."""
  named = ("ink", "faint", "grey", "paper")
  found = dict(zip(plots.NEUTRAL, named, strict=True))
  for i, colour in enumerate(plots.COLOURS):
    found[colour.lower()] = f"series-{i}"
  return found


def _reference(found: re.Match[str], name: str) -> str:
  if found[1] is not None:
    return f"url(#{name}-{found[1]})"
  return f'href="#{name}-{found[2]}"'
