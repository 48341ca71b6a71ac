"""What renormalised scores change in the ranking of trained models.

They are faster, since they need neither all symbols nor the forced ones; what
the model says of those is lost. The models are a quickstart's.
"""

from pathlib import Path

import reporting

from genret.core.collection import Collection
from genret.evaluation import comparison, measures
from genret.retrieval.generative import Retriever

SCORINGS = ("raw", "renormalised")
NUM_BEAMS = 40
MEASURE = "RR@10"


def checks(workdir: Path | None, **_: object) -> list[reporting.Check]:
  """Searches the test questions with both scores; prints the difference.

  Args:
    workdir: of a quickstart; None to leave this out.
  """
  name = f"renormalised - raw, {MEASURE}"
  if workdir is None:
    return [
      reporting.missing(name, reason="no --workdir of a quickstart given")
    ]
  collection = Collection.open(workdir / "collection")
  queries = list(collection.queries("test"))
  qrels = collection.qrels("test")
  done = []
  for folder in sorted((workdir / "models").iterdir()):
    per_query = {
      scoring: measures.evaluate(
        Retriever.load(folder, scoring=scoring).run(
          queries, k=10, num_beams=NUM_BEAMS
        ),
        qrels,
        measures=[MEASURE],
      ).per_query
      for scoring in SCORINGS
    }
    [found] = comparison.compare(per_query, baseline="raw", measures=[MEASURE])
    change = found.difference
    done.append(
      reporting.Check(
        name=f"{folder.name}: {name}",
        figure=change.mean,
        unit="",
        note=f"{change.confidence:.0%} interval {change.low:+.3f} to"
        f" {change.high:+.3f}, {len(queries)} queries, {NUM_BEAMS} beams",
      )
    )
  return done
