"""A plot as data: series of points, and how they look."""

import dataclasses
from collections.abc import Callable, Sequence

from genret.studies import report_words as wording
from genret.studies.report_blocks import Table
from genret.studies.report_reader import Row

NUM_COLOURS = 6  # told apart by all; markers and dashes go on
Span = tuple[float | None, float | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
  """How a series is drawn.

  Attributes:
    colour: Its number, or None for the grey of baselines.
    marker: Its number.
    dash: Its number.
  """

  colour: int | None = 0
  marker: int = 0
  dash: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
  """A point.

  Attributes:
    x: Where.
    y: Where.
    row: Which it is of; None of a difference.
    label: What it is called, where its series does not say.
    across: Interval along x.
    along: Interval along y.
    hollow: Whether it is of an under-trained row.
  """

  x: float
  y: float
  row: Row | None = None
  label: str = ""
  across: Span = (None, None)
  along: Span = (None, None)
  hollow: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
  """A fitted line through the middle of a series.

  Attributes:
    slope: Along y for ten times the x.
    low: Its lowest likely value.
    high: Its highest.
  """

  slope: float
  low: float
  high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
  """Points that belong together.

  Attributes:
    name: In the legend.
    look: Of its points and lines.
    points: Of it.
    joined: Whether a line goes through them.
    fit: Drawn behind them.
    faint: Lines of single seeds behind it.
  """

  name: str
  look: Look
  points: Sequence[Point]
  joined: bool = False
  fit: Fit | None = None
  faint: Sequence[Sequence[tuple[float, float]]] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
  """An axis of a plot.

  Attributes:
    label: What it shows, with its unit.
    log: Whether it is logarithmic.
    ticks: Value -> its label, or None for those that suit.
    from_zero: Whether it begins at zero.
    shown: How values are written.
  """

  label: str
  log: bool = False
  ticks: dict[float, str] | None = None
  from_zero: bool = False
  shown: Callable[[float], str] = wording.amount


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
  """A plot.

  Attributes:
    name: Of its files.
    title: What it shows.
    x: Its horizontal axis.
    y: Its vertical one.
    series: In it.
    diagonal: Whether a line marks where both axes are the same.
    margin: Half the width of a band around x = 0; None for no band.
    downward: Whether y grows downward.
    table: Its figures, where they are not those of its points.
  """

  name: str
  title: str
  x: Scale
  y: Scale
  series: Sequence[Series]
  diagonal: bool = False
  margin: float | None = None
  downward: bool = False
  table: Table | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
  """Plots of one kind.

  Attributes:
    title: What they show.
    caption: How they are read.
    panels: None where there is no data.
    lack: What data would be needed.
  """

  title: str
  caption: str
  panels: Sequence[Panel]
  lack: str
