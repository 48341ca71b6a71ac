"""Tables of what queries are like and of what a filter kept, in Markdown."""

from collections.abc import Mapping, Sequence

from genret.querygen.describe import Description, Spread
from genret.querygen.rates import Rates


def described(found: Mapping[str, Description]) -> str:
  """Returns a table with a column for each set of queries.

  Args:
    found: Name of a set -> what it is like.
  """
  sets = list(found.values())
  rows = [["", *found]]

  def row(label: str, cells: Sequence[str]) -> None:
    rows.append([label, *cells])

  row(
    "documents with a query", [_part(d.with_queries, d.documents) for d in sets]
  )
  row("queries", [f"{d.queries:,}" for d in sets])
  row("queries a document", [_spread(d.a_document, ".1f") for d in sets])
  row("different texts", [_part(d.distinct, d.queries) for d in sets])
  row("texts at several documents", [_part(d.shared, d.distinct) for d in sets])
  row("repeat one of the document", [_part(d.same, d.queries) for d in sets])
  row("nearly repeat one", [_part(d.near, d.queries) for d in sets])
  row("words", [_spread(d.words, ".1f") for d in sets])
  row(
    "copied whole from the document",
    [_part(d.verbatim, d.queries) for d in sets],
  )
  row(
    "longest copied n-gram, share of words",
    [_spread(d.copied, ".2f") for d in sets],
  )
  for split in dict.fromkeys(split for d in sets for split in d.overlap):
    for label, count in (
      (f"also a {split} query", "generated"),
      (f"also a {split} query of its document", "for_their_document"),
    ):
      row(label, [_overlap(d, split, count) for d in sets])
  if any(d.log_probability is not None for d in sets):
    row(
      "log-probability, mean",
      [
        "–" if d.log_probability is None else f"{d.log_probability:.2f}"
        for d in sets
      ],
    )
  return markdown(rows)


SPREADS = "Spreads are: mean (from 5 % to 95 % of the queries or documents)."


def kept(rates: Rates) -> str:
  """Returns a table of what a filter kept."""
  k = rates.rule.k
  rows = [["", "", "of"]]

  def queries(label: str, number: int) -> None:
    share = _part(number, rates.queries)
    rows.append([label, share, f"{rates.queries:,} queries"])

  if k is not None:
    for depth, number in rates.found.items():
      queries(f"find their document within {depth:,}", number)
    rows.append(
      [
        f"the share within {k:,}, mean over documents",
        f"{rates.by_document:.1%}",
        f"{rates.with_queries:,} documents",
      ]
    )
    for name, shares in (
      ("generator", rates.by_generator),
      ("grade", rates.by_grade),
    ):
      if len(shares) > 1:
        rows += [
          [f"the share within {k:,}, {name} {kind}", f"{share:.1%}", ""]
          for kind, share in shares.items()
        ]
  if rates.rule.near_duplicates is not None:
    queries("go: repeat one of the document", rates.verdicts.get("same", 0))
    queries("go: nearly repeat one", rates.verdicts.get("near", 0))
  if rates.rule.keep_best:
    queries("stay as the best of their document", rates.verdicts.get("best", 0))
  queries("stay", rates.kept)
  rows.append(
    [
      "had a query and have none now",
      _part(rates.left_without, rates.with_queries),
      f"{rates.with_queries:,} documents",
    ]
  )
  return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
  """Returns a Markdown table that is also aligned for people.

  >>> print(markdown([["", "a"], ["queries", "10"]]))
  |         |  a |
  |:--------|---:|
  | queries | 10 |

  Args:
    rows: The header, then the rows; the first column is to the left, others
      are to the right.
  """
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = ["| " + " | ".join(_padded(row, widths)) + " |" for row in rows]
  rules = [":" + "-" * (widths[0] + 1)]
  rules += ["-" * (width + 1) + ":" for width in widths[1:]]
  return "\n".join([lines[0], "|" + "|".join(rules) + "|", *lines[1:]])


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
  return [
    cell.ljust(width) if i == 0 else cell.rjust(width)
    for i, (cell, width) in enumerate(zip(row, widths, strict=True))
  ]


def _part(number: int, total: int) -> str:
  share = number / total if total else 0.0
  return f"{number:,} ({share:.1%})"


def _overlap(found: Description, split: str, count: str) -> str:
  if split not in found.overlap:
    return "–"
  return _part(getattr(found.overlap[split], count), found.queries)


def _spread(found: Spread, form: str) -> str:
  return f"{found.mean:{form}} ({found.low:{form}}–{found.high:{form}})"
