"""Figures of what queries are like and of what a filter kept."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core.errors import ConfigError
from genret.querygen.describe import COPIED_BINS, Description
from genret.querygen.rates import SHARES, Rates

# Okabe and Ito's colours, told apart by all; lines differ in their dashes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
FORMATS = ("png", "svg")
INSTALL = "pip install 'genret[plot]'"


def available() -> bool:
  """Says whether matplotlib is installed."""
  return importlib.util.find_spec("matplotlib") is not None


def draw(
  folder: Path,
  found: Mapping[str, Description],
  *,
  rates: Rates | None = None,
  name: str = "report",
) -> list[Path]:
  """Draws lengths, copies, queries a document, and what a filter kept.

  Args:
    folder: Where the files go.
    found: Name of a set of queries -> what it is like.
    rates: Of the filter; None for none.
    name: Of the files, without their endings.

  Returns:
    A PNG and an SVG; the same bytes for the same figures.

  Raises:
    ConfigError: matplotlib is not installed.
  """
  if not available():
    raise ConfigError(
      f"figures need matplotlib, which is not installed. Run: {INSTALL}"
    )
  import matplotlib
  from matplotlib.figure import Figure

  searched = rates is not None and rates.depth > 0
  rows, columns = (2, 2) if searched else (1, 3)
  with matplotlib.rc_context({"svg.hashsalt": name, "font.size": 9}):
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns).flat
    _words(panels[0], found)
    _copied(panels[1], found)
    _a_document(panels[2], found)
    if searched:
      _kept(panels[3], rates)
    for axes in panels:
      axes.set_ylim(bottom=0)
    panels[0].legend(frameon=False)
    paths = [Path(folder) / f"{name}.{ending}" for ending in FORMATS]
    for path, metadata in zip(
      paths, ({"Software": None}, {"Date": None}), strict=True
    ):
      figure.savefig(path, dpi=150, metadata=metadata)
  return paths


def _words(axes: Any, found: Mapping[str, Description]) -> None:
  last = max(int(d.words.high) for d in found.values()) * 3 // 2 + 1
  for i, (name, d) in enumerate(found.items()):
    counts = [d.words_histogram.get(n, 0) for n in range(last + 1)]
    _line(axes, range(last + 1), counts, total=d.queries, i=i, name=name)
  axes.set(xlabel="words a query", ylabel="share of queries (%)")


def _copied(axes: Any, found: Mapping[str, Description]) -> None:
  ends = np.arange(COPIED_BINS + 1) * 100 / COPIED_BINS
  for i, (name, d) in enumerate(found.items()):
    counts = np.append(0, np.cumsum(d.copied_histogram))
    _line(axes, ends, counts, total=d.queries, i=i, name=name)
  axes.set(
    xlabel="longest n-gram copied from the document\n(% of the query's words)",
    ylabel="queries that copy at most this (%)",
  )


def _a_document(axes: Any, found: Mapping[str, Description]) -> None:
  last = max(max(d.a_document_histogram) for d in found.values())
  last = min(last, max(int(d.a_document.high) for d in found.values()) * 2)
  for i, (name, d) in enumerate(found.items()):
    counts = [d.a_document_histogram.get(n, 0) for n in range(last + 1)]
    _line(axes, range(last + 1), counts, total=d.documents, i=i, name=name)
  axes.set(xlabel="queries a document", ylabel="share of documents (%)")


def _kept(axes: Any, rates: Rates) -> None:
  counts = np.asarray(rates.by_document_histogram)
  middles = np.append(0, np.arange(SHARES) + 0.5) * 100 / SHARES
  middles[0] = -50 / SHARES  # none at all has a bar of its own
  axes.bar(
    middles, 100 * counts / counts.sum(), width=90 / SHARES, color=COLOURS[0]
  )
  axes.set_xticks([middles[0], 25, 50, 75, 100], ["none", 25, 50, 75, 100])
  axes.set(
    xlabel=f"queries that find their document within {rates.rule.k}"
    "\n(% of the document's queries)",
    ylabel="share of documents (%)",
  )


def _line(
  axes: Any,
  x: Sequence[float],
  counts: Sequence[int],
  *,
  total: int,
  i: int,
  name: str,
) -> None:
  axes.plot(
    x,
    100 * np.asarray(counts) / total,
    color=COLOURS[i % len(COLOURS)],
    linestyle=DASHES[i % len(DASHES)],
    label=name,
  )
