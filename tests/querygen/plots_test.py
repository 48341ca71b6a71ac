import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from genret.core.collection import Document
from genret.core.errors import ConfigError
from genret.querygen import plots
from genret.querygen.describe import describe
from genret.querygen.filter import Rule, judge
from genret.querygen.rates import RateCounts
from genret.tasks.synthetic import SyntheticQuery

DOCUMENT = Document(docno="d", title="", text="Paxton built the glass house.")
QUERIES = [
  SyntheticQuery(docno="d", text=text)
  for text in ("who built the glass house", "a house of glass", "Paxton")
]


def figures():
  rule = Rule(k=1)
  counts = RateCounts(rule, depth=1)
  ranks = np.array([1, 0, 1])
  counts.add(QUERIES, ranks, judge(QUERIES, ranks, rule))
  found = {
    name: describe([(DOCUMENT, queries)], num_documents=2)
    for name, queries in [("before", QUERIES), ("after", QUERIES[:1])]
  }
  return found, counts.rates(num_documents=2)


def test_figures_are_drawn_the_same_each_time(tmp_path):
  found, rates = figures()
  paths = plots.draw(tmp_path, found, rates=rates)
  assert [path.name for path in paths] == ["report.png", "report.svg"]
  assert paths[0].read_bytes().startswith(b"\x89PNG")
  ElementTree.parse(paths[1])
  (tmp_path / "again").mkdir()
  again = plots.draw(tmp_path / "again", found, rates=rates)
  assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in again]


def test_axes_say_what_is_shown_and_in_what_unit(tmp_path, monkeypatch):
  from matplotlib.figure import Figure

  drawn = []
  monkeypatch.setattr(
    Figure, "savefig", lambda figure, *_, **__: drawn.append(figure)
  )
  found, rates = figures()
  plots.draw(tmp_path, found, rates=rates)
  plots.draw(tmp_path, found)
  assert [len(figure.axes) for figure in drawn] == [4, 4, 3, 3]
  words, copied, number, kept = drawn[0].axes
  assert words.get_xlabel() == "words a query"
  for axes in drawn[0].axes:
    assert "(%)" in axes.get_ylabel() and axes.get_ylim()[0] == 0
  before, after = words.lines
  assert before.get_ydata()[4] == pytest.approx(100 / 3)
  assert after.get_ydata()[5] == 100
  assert copied.lines[0].get_ydata()[-1] == 100
  assert number.lines[0].get_ydata()[0] == 50
  assert sum(bar.get_height() for bar in kept.patches) == 100
  styles = [(line.get_color(), line.get_linestyle()) for line in words.lines]
  assert len({colour for colour, _ in styles}) == 2
  assert len({dash for _, dash in styles}) == 2


def test_without_matplotlib_it_says_how_to_get_it(tmp_path, monkeypatch):
  monkeypatch.setattr(plots, "available", lambda: False)
  with pytest.raises(ConfigError, match=r"pip install 'genret\[plot\]'"):
    plots.draw(tmp_path, figures()[0])
