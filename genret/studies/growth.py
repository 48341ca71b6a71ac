"""How rows change along the axis on which a corpus grows."""

import dataclasses
from collections.abc import Mapping, Sequence

from genret.core.errors import UserError
from genret.evaluation import slopes
from genret.evaluation.significance import Interval
from genret.studies.grid import Study
from genret.studies.rows import Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slope:
  """Quality against log10 of the number of documents.

  Attributes:
    of: Axis -> choice of all rungs alike.
    name: Of a baseline; "" for settings.
    measure: Whose mean it is.
    a_decade: What ten times as many documents add, with its interval.
    rungs: How many the line was fitted to.
  """

  of: Mapping[str, str]
  name: str
  measure: str
  a_decade: Interval
  rungs: int

  def __str__(self) -> str:
    where = ", ".join([*self.of.values(), *([self.name] if self.name else [])])
    found = self.a_decade
    return (
      f"{where}: {self.measure} {found.mean:+.3f} [{found.low:+.3f},"
      f" {found.high:+.3f}] a decade, over {self.rungs} rungs"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Growth:
  """What is known of how quality falls.

  Attributes:
    slopes: Of each setting and baseline with rungs enough.
    not_fitted: Of others, why not.
  """

  slopes: Sequence[Slope] = ()
  not_fitted: Sequence[str] = ()


def axis(study: Study) -> str | None:
  """Returns the axis whose choices are rungs of a corpus, if there is one."""
  found = set(study.matters("ladder")) - set(study.matters("prepare"))
  return next(iter(sorted(found)), None)


def of(study: Study, rows: Sequence[Row]) -> Growth:
  """Fits the slopes of a study.

  Rows that take no part in comparisons are no rungs of a line either.

  Args:
    study: Its axes and measures.
    rows: Of settings and baselines.
  """
  ladder = axis(study)
  if ladder is None:
    return Growth()
  groups: dict[tuple, list[Row]] = {}
  for row in rows:
    if ladder in row.chosen:
      others = tuple((a, n) for a, n in row.chosen.items() if a != ladder)
      groups.setdefault((row.name, others), []).append(row)
  found, refused = [], {}
  for (name, others), group in groups.items():
    try:
      found += _fitted(study, dict(others), group)
    except UserError as error:
      where = [n for _, n in others] + ([name] if name else [])
      refused.setdefault(str(error), []).append(" ".join(where))
  return Growth(
    slopes=found,
    not_fitted=[f"{why}: {'; '.join(who)}" for why, who in refused.items()],
  )


def _fitted(
  study: Study, others: Mapping[str, str], group: Sequence[Row]
) -> list[Slope]:
  measure = study.measures[0]
  ready = [
    row for row in group if row.unready(measure, plateau=study.plateau) is None
  ]
  sizes = [row.documents for row in ready]
  asked = [set(row.parts["all"]) for row in ready]
  if len(ready) > 1 and any(one != asked[0] for one in asked):
    raise UserError("rungs answer different queries")
  queries = ready[0].parts["all"] if ready else ()
  clusters = ready[0].clusters_of(queries) if ready else None
  found = {
    measure: slopes.slope(
      sizes, [row.of(measure, queries) for row in ready], clusters
    )
    for measure in study.measures
  }
  if any(one.clusters < 2 for one in found.values()):
    raise UserError("all queries are about one article")
  return [
    Slope(
      of=others,
      name=group[0].name,
      measure=measure,
      a_decade=one.interval(),
      rungs=len(set(sizes)),
    )
    for measure, one in found.items()
  ]
