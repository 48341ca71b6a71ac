"""What a diagnosis found, as a table for people."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

_SEARCHES = {
  "constrained": "along the trie",
  "unconstrained": "without the trie",
  "beam": "beam",
  "exhaustive": "exhaustive",
}


@dataclasses.dataclass(frozen=True)
class Diagnosis:
  """What was found.

  Attributes:
    figures: As `diagnostics.json` holds them.
  """

  figures: Mapping[str, Any]

  def table(self) -> str:
    """Returns the figures as lines."""
    return "\n".join([*self._searches(), *self._shares(), *self._prefixes()])

  def _searches(self) -> Iterator[str]:
    figures = self.figures
    search = figures["search"]
    names = list(figures["constrained"])
    yield (
      f"{figures['num_queries']:,} queries of {figures['split']},"
      f" {search['k']} documents, {search['num_beams']} beams"
    )
    yield f"  {'':<24}" + "".join(f"{name:>10}" for name in names)
    for key, label in _SEARCHES.items():
      if key in figures:
        shown = "".join(f"{figures[key][name]:>10.3f}" for name in names)
        yield f"  {self._labelled(key, label):<24}{shown}"

  def _labelled(self, key: str, label: str) -> str:
    if key not in ("beam", "exhaustive"):
      return label
    return f"{label} ({self.figures['num_exhaustive']} queries)"

  def _shares(self) -> Iterator[str]:
    said = {
      "invalid_beams": "beams that are no docid, without the trie",
      "invalid_first": "queries whose best beam is none",
      "without_docid": "queries without any docid",
      "search_errors": "queries whose best document the beams miss",
      "model_errors": "queries whose best document is no answer",
      "answers_lost": "queries with an answer that the beams lose",
    }
    for key, label in said.items():
      if key in self.figures:
        yield f"  {label:<44}{100 * self.figures[key]:>8.1f} %"

  def _prefixes(self) -> Iterator[str]:
    yield "recall of docid prefixes"
    for found in self.figures["prefix_recall"]:
      [(name, value)] = [(n, v) for n, v in found.items() if n != "length"]
      yield f"  {name} of {found['length']} symbols{value:>20.3f}"
