"""What an evaluation found: figures for programs, tables for people."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from genret.evaluation import comparison
from genret.evaluation.comparison import Comparison
from genret.evaluation.measures import Evaluation
from genret.evaluation.significance import Interval


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
  """What an evaluation found.

  Attributes:
    split: Whose judgements.
    evaluations: System to its figures, in the order given.
    comparisons: With the baseline; empty without one.
    intervals: System to measure to its interval, of measures that are means.
    articles: Clusters of queries that intervals and comparisons are over.
    judged: Judge -> system -> its figures by that judge's grades.
  """

  split: str
  evaluations: Mapping[str, Evaluation]
  comparisons: Sequence[Comparison] = ()
  intervals: Mapping[str, Mapping[str, Interval]] = dataclasses.field(
    default_factory=dict
  )
  articles: int = 0
  judged: Mapping[str, Mapping[str, Evaluation]] = dataclasses.field(
    default_factory=dict
  )

  def metrics(self) -> dict[str, dict[str, Any]]:
    """Return what metrics.json holds: system to measures and counts.

    And "intervals" to measure to low and high, and where there are other
    judges, "judges" to judge to the same as of the collection.
    """
    metrics = {}
    for system, found in self.evaluations.items():
      metrics[system] = {**_figures(found), "split": self.split}
      if intervals := self.intervals.get(system):
        metrics[system]["intervals"] = {
          name: [one.low, one.high] for name, one in intervals.items()
        }
      judged = {
        judge: _figures(evaluations[system])
        for judge, evaluations in self.judged.items()
      }
      if judged:
        metrics[system]["judges"] = judged
    return metrics

  def table(self) -> str:
    """Return the figures as a table for people, the best row marked."""
    lines = _table(self.evaluations, f"of split {self.split!r}")
    first = next(iter(next(iter(self.evaluations.values())).means))
    shown = [
      f"{system} [{found[first].low:.3f}, {found[first].high:.3f}]"
      for system, found in self.intervals.items()
      if first in found
    ]
    if shown:
      lines.append(
        f"95% intervals of {first} over {self.articles} articles:"
        f" {', '.join(shown)}"
      )
    for judge, evaluations in self.judged.items():
      lines += ["", *_table(evaluations, f"judged by {judge}")]
    if self.comparisons:
      lines += ["", *self._compared()]
    return "\n".join(lines)

  def _compared(self) -> list[str]:
    rows = [
      ["", "measure", "difference", "interval", "p", "p (Holm)"]
      + ["equivalent p", "sees"]
    ]
    for found in self.comparisons:
      gap = found.difference
      rows.append(
        [
          f"  {found.system}",
          found.measure,
          f"{gap.mean:+.3f}",
          f"[{gap.low:+.3f}, {gap.high:+.3f}]",
          _p(found.p_value),
          _p(found.p_corrected),
          _p(found.equivalence_corrected),
          "-" if found.detectable is None else f"{found.detectable:.3f}",
        ]
      )
    confidence = self.comparisons[0].difference.confidence
    return [
      f"against {self.comparisons[0].baseline}: paired sign-flip test and"
      f" bootstrap interval ({confidence:.0%}) over {self.articles} articles,"
      f" Holm's correction over {len(self.comparisons)} tests",
      f"equivalent: two one-sided tests at {comparison.MARGIN:g}; sees: the"
      f" difference found with {comparison.POWER:.0%} power",
      *_aligned(rows),
    ]


def _figures(found: Evaluation) -> dict[str, float]:
  return {
    **found.means,
    "num_queries": found.num_queries,
    "num_unanswered": found.num_unanswered,
    "num_without_relevant": found.num_without_relevant,
    "num_ignored": found.num_ignored,
    "relevance": found.relevance,
  }


def _table(evaluations: Mapping[str, Evaluation], what: str) -> list[str]:
  """Return a line for each system, the best marked, and what they are of."""
  first = next(iter(evaluations.values()))
  names = list(first.means)
  best = max(e.means[names[0]] for e in evaluations.values())
  rows = [["", *names, "unanswered"]]
  for system, found in evaluations.items():
    mark = "* " if found.means[names[0]] == best else "  "
    figures = [f"{found.means[name]:.3f}" for name in names]
    rows.append([mark + system, *figures, str(found.num_unanswered)])
  lines = _aligned(rows)
  lines.append(
    f"{first.num_queries} queries {what}, relevant from grade"
    f" {first.relevance} on; * best {names[0]}"
  )
  if first.num_without_relevant:
    lines.append(
      f"{first.num_without_relevant} queries have no relevant document and"
      " score zero"
    )
  return lines


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
  """Pad the cells of each column: the first to the left, others right."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return [
    "  ".join(
      cell.ljust(width) if i == 0 else cell.rjust(width)
      for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    for row in rows
  ]


def _p(value: float) -> str:
  return f"{value:.4f}" if value >= 1e-4 else "<.0001"
