"""Tables of what rows cost, and of what their search misses."""

from collections.abc import Callable, Iterable, Sequence

from genret.studies import report_tables
from genret.studies import report_words as wording
from genret.studies.report_blocks import Table
from genret.studies.report_reader import Results, Row

Shown = Callable[[float | None], str]
Wanted = tuple[str, Shown, tuple[str, ...]]

_WAYS = ("counted", "compiled", "formula")
_SPEED: tuple[tuple[str, tuple[str, ...]], ...] = (
  ("documents a query", ("search", "k")),
  ("beams", ("search", "num_beams")),
  ("one query, p50 (ms)", ("latency", "p50_ms")),
  ("one query, p95 (ms)", ("latency", "p95_ms")),
  ("queries a second", ("latency", "queries_per_second")),
  ("weights (bytes)", ("bytes", "weights")),
  ("trie (bytes)", ("bytes", "trie")),
  ("docids (bytes)", ("bytes", "docids")),
  ("index (bytes)", ("bytes", "index")),
  ("training, wall time (s)", ("training", "wall_seconds")),
  ("device-hours", ("training", "device_hours")),
)


def costs(results: Results) -> list[Table]:
  """Returns what rows cost; nothing where nobody counted."""
  parts = dict.fromkeys(
    part
    for row in results.rows
    for part in (row.mapping_of("costs").get("parameters") or ())
  )
  ways = [
    (f"{label}, {way}", wording.amount, ("costs", "operations", name, way))
    for name, label in (("step", "training step"), ("query", "query"))
    for way in _WAYS
  ]
  return [
    *_table(
      results,
      "FLOPs: counted from the program, of the compiled program, by formula",
      [
        *ways,
        ("a query", wording.amount, ("flops", "query")),
        ("all of training", wording.amount, ("flops", "training")),
      ],
    ),
    *_table(
      results,
      "Latency, sizes and times, in the mean over seeds",
      [(name, wording.amount, ("costs", *keys)) for name, keys in _SPEED],
    ),
    *_table(
      results,
      "Parameters by part",
      [(p, wording.amount, ("costs", "parameters", p)) for p in parts],
    ),
  ]


def diagnostics(results: Results) -> list[Table]:
  """Returns what the search misses; nothing where nobody looked."""
  measure = results.measure
  return _table(
    results,
    "Search: beam against scoring every document, and beams that are no docid"
    " where nothing constrains them",
    [
      (name, shown, ("diagnostics", *keys))
      for name, shown, keys in (
        ("documents a query", wording.count, ("search", "k")),
        ("beams", wording.count, ("search", "num_beams")),
        ("queries searched twice", wording.count, ("num_exhaustive",)),
        (f"beam {measure}", wording.share, ("beam", measure)),
        (f"exhaustive {measure}", wording.share, ("exhaustive", measure)),
        ("search errors", wording.share, ("search_errors",)),
        ("model errors", wording.share, ("model_errors",)),
        ("answers lost", wording.share, ("answers_lost",)),
        (f"free {measure}", wording.share, ("unconstrained", measure)),
        ("invalid beams", wording.share, ("invalid_beams",)),
      )
    ],
  )


def _table(
  results: Results, title: str, wanted: Sequence[Wanted]
) -> list[Table]:
  """Returns the rows and columns of a table that have a number."""
  columns = [one for one in wanted if _known(results.rows, [one])]
  rows = [row for row in results.rows if _known([row], columns)]
  if not rows:
    return []
  found = [report_tables.number(n, shown, *keys) for n, shown, keys in columns]
  named = report_tables.named(results)
  return [report_tables.table(title, [named, *found], rows)]


def _known(rows: Iterable[Row], wanted: Iterable[Wanted]) -> bool:
  return any(
    row.number_of(*keys) is not None for row in rows for _, _, keys in wanted
  )
