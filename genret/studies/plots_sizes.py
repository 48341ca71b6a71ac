"""Quality against sizes: of the corpus, the model, its work, its queries."""

import dataclasses
import math
from collections.abc import Sequence

from genret.studies import plots_rows as rows_of
from genret.studies import report_words as wording
from genret.studies.plots_panel import Fit, Kind, Panel, Scale, Series
from genret.studies.plots_rows import Facet
from genret.studies.report_reader import Results, varying

RATIO = 3.0  # of the largest to the smallest, from which a scale is a log
SAME = 1.05  # sizes with a smaller ratio are one


def by_documents(results: Results) -> Kind:
  """Returns quality against the number of documents, with fitted slopes."""
  axes = results.axes
  bed = [axis for axis in axes.bed if axis != axes.ladder]
  found = _panels(
    results,
    rows_of.parted(results, bed) if axes.ladder else [],
    key=("documents",),
    label="documents",
    along=[axes.ladder],
  )
  return Kind(
    title="Quality against documents",
    caption="Bars are 95 % intervals. Where five rungs or more allow a slope, a"
    " straight line shows it, and a band its 95 % interval.",
    panels=[_with_slopes(results, panel) for panel in found],
    lack="all rows have the same number of documents",
  )


def by_queries(results: Results) -> Kind:
  """Returns quality against the number of synthetic queries a document."""
  key = ("synthetic_queries",)
  along = list(varying(results.settings, key))
  bed = [axis for axis in results.axes.bed if axis not in along]
  return Kind(
    title="Quality against synthetic queries",
    caption="Bars are 95 % intervals.",
    panels=_panels(
      results,
      rows_of.parted(results, bed, but=along) if along else [],
      key=key,
      label="synthetic queries a document",
      along=along,
    ),
    lack="rows differ in no number of synthetic queries",
  )


def by_cost(results: Results) -> list[Kind]:
  """Returns quality against parameters, and against FLOPs."""
  return [
    Kind(
      title=f"Quality against {label}",
      caption=_largest(results, "Bars are 95 % intervals."),
      panels=_panels(
        results, _at_the_largest(results), key=key, label=label, along=[]
      ),
      lack=f"rows with {label} are missing, or all have the same",
    )
    for label, key in (
      ("parameters", ("parameters",)),
      ("FLOPs a query", ("flops", "query")),
      ("FLOPs of training", ("flops", "training")),
    )
  ]


def _panels(
  results: Results,
  facets: Sequence[Facet],
  *,
  key: Sequence[str],
  label: str,
  along: Sequence[str],
) -> list[Panel]:
  """Returns a plot for each part of the rows in which a size varies.

  Lines go through rows that differ along some axes only.
  """
  found = []
  for where, rows in facets:
    known = [value for r in rows if (value := r.number_of(*key))]
    if not known or max(known) < SAME * min(known):
      continue
    series = rows_of.grouped(
      results,
      rows,
      lambda row: rows_of.of_row(
        results,
        row,
        x=row.number_of(*key),
        y=row.figure(results.measure),
      ),
      joined=bool(along),
      but=along,
    )
    if not any(one.look.colour is not None for one in series):
      continue
    kind = f"quality by {label}"
    found.append(
      Panel(
        name=rows_of.file_name(kind, where),
        title=rows_of.titled(f"{results.measure} by {label}", where),
        x=_scale(label, known),
        y=Scale(label=results.measure, from_zero=True, shown=wording.share),
        series=series,
      )
    )
  return found


def _scale(label: str, known: Sequence[float]) -> Scale:
  """Returns the axis of a size; few sizes are its ticks."""
  log = min(known) > 0 and max(known) >= RATIO * min(known)
  values = sorted(set(known))
  few = (
    label.endswith(("documents", "document")) and len(values) <= rows_of.MANY
  )
  ticks = values if few else _log_ticks(values[0], values[-1]) if log else None
  return Scale(
    label=label + (" (log)" if log else ""),
    log=log,
    ticks=ticks and {value: wording.amount(value) for value in ticks},
  )


def _log_ticks(low: float, high: float) -> list[float]:
  """Returns at least three round values between two, or all there are.

  >>> _log_ticks(3e8, 9e8)
  [300000000.0, 500000000.0, 700000000.0]
  >>> _log_ticks(1, 2000)
  [1.0, 10.0, 100.0, 1000.0]
  """
  decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
  for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7)):
    values = [float(f"{step}e{decade}") for decade in decades for step in steps]
    found = [value for value in values if low <= value <= high]
    if len(found) >= 3:
      break
  return found


def _at_the_largest(results: Results) -> list[Facet]:
  """Parts rows by what they search; of a ladder, only those on its top."""
  axes = results.axes
  found = rows_of.facets(results, [a for a in axes.bed if a != axes.ladder])
  if axes.ladder is None:
    return found
  tops = []
  for where, rows in found:
    top = max((r.number_of("documents") or 0 for r in rows), default=0)
    kept = [r for r in rows if (r.number_of("documents") or 0) == top]
    tops.append((where, kept))
  return tops


def _largest(results: Results, caption: str) -> str:
  if results.axes.ladder is None:
    return caption
  return f"The largest corpus of each ladder. {caption}"


def _with_slopes(results: Results, panel: Panel) -> Panel:
  return dataclasses.replace(
    panel, series=[_with_slope(results, one) for one in panel.series]
  )


def _with_slope(results: Results, series: Series) -> Series:
  """Adds the slope that was fitted to the rows of a series, if one was."""
  row = series.points[0].row
  for slope in results.list_of("slopes"):
    of = slope.get("of") or {}
    rest = {a: c for a, c in row.chosen.items() if a != results.axes.ladder}
    rest |= {"name": row.name} if row.name else {}
    if slope.get("slope_per_decade") is not None and of == rest:
      value = slope["slope_per_decade"]
      low, high = (slope.get(end) for end in ("low", "high"))
      fit = Fit(
        slope=value,
        low=value if low is None else low,
        high=value if high is None else high,
      )
      return dataclasses.replace(series, fit=fit)
  return series
