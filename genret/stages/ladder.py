"""The ladder stage: nested parts of one collection, none of them a copy."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genret.core import artifacts, rungs
from genret.core.collection import Collection
from genret.core.errors import ArtifactError, ConfigError
from genret.corpora import judged as judgements
from genret.corpora import ladder, rung
from genret.corpora.judged import TRAIN, Judged
from genret.corpora.ladder import Like
from genret.corpora.published import Published
from genret.corpora.rung import Rung

_NONE = "–"
_NOTABLE = 0.01  # a difference of shares that is worth a sentence


@dataclasses.dataclass(frozen=True, kw_only=True)
class LadderConfig:
  """Which rungs are made.

  Attributes:
    rungs: how many documents each holds: 1000, "10k", "1M" or "all".
    like: which documents come first: "collection" keeps the collection's
      share of documents with a training query on every rung, "paper" takes
      those with a training query first.
    dev_queries: how many dev queries every rung asks; None for all.
    test_queries: likewise for test. Any other split but train is kept whole.
    relevance: the least grade that counts as relevant.
    seed: of the sample and of the order of documents.
    published: a list by others; where it has one, it alone is made, and
      `rungs`, `like`, the samples and `seed` mean nothing.
  """

  rungs: Sequence[str | int] = ()
  like: Like = "collection"
  dev_queries: int | None = 200
  test_queries: int | None = 500
  relevance: int = 1
  seed: int = 0
  published: Published = Published()

  def __post_init__(self):
    for name in ("dev_queries", "test_queries"):
      size = getattr(self, name)
      if size is not None and size < 1:
        raise ConfigError(f"{name} is at least 1, or None; {size} came.")
    if self.seed < 0:
      raise ConfigError(f"seed is at least 0; {self.seed} came.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ladder:
  """What was made.

  Attributes:
    collection: what the rungs are of.
    rungs: the smallest first.
    residues: what could not be held constant, in sentences.
  """

  collection: Collection
  rungs: Sequence[Collection]
  residues: Sequence[str]

  def table(self) -> str:
    """Lays out the coverage of the collection and of every rung.

    Shares are of documents, and of test positives, that have a training
    query. A rung's test positives are those of the sampled queries.
    """
    of_whole = self.rungs[0].summary["collection"]
    splits = dict.fromkeys(self.collection.splits)
    splits |= dict.fromkeys(s for r in self.rungs for s in r.splits)
    head = ["", "documents", "covered", "test covered"]
    head += [f"{split} queries" for split in splits]
    rows = [[*head, "duplicates", "checksum"]]
    named = [(self.collection.name, of_whole)]
    named += [(made.root.name, made.summary) for made in self.rungs]
    rows += [_cells(name, figures, list(splits)) for name, figures in named]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
      "  ".join(
        cell.rjust(width) if i else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
      ).rstrip()
      for row in rows
    ]
    return "\n".join([*lines, *self.residues])


def run(
  config: LadderConfig, collection: Collection, out: Path, *, gin_text: str = ""
) -> Ladder:
  """Makes the rungs that are not there yet, and prints their coverage.

  A rung is an artifact that `Collection.open` opens. It has rows, docnos,
  queries and judgements, and reads documents from the collection. Where all
  rungs stand already, only a path to a collection that moved is written.

  Args:
    config: which rungs.
    collection: what they are parts of.
    out: a folder; each rung becomes one in it, named by its size.
    gin_text: the configuration, for the provenance.

  Raises:
    ConfigError: a rung is larger than the collection, or too small for the
      positives of the sampled queries.
    DataError: a published list is at fault.
    ArtifactError: a folder holds something else.
  """
  recipes = _recipes(config, collection)
  work = _Work(config, collection)
  made = []
  for name, recipe in recipes.items():
    write = functools.partial(work.write, recipe=recipe)
    folder = Path(out) / name
    made.append(part(folder, recipe, collection, write=write, text=gin_text))
  made.sort(key=lambda found: found.num_documents)
  found = Ladder(
    collection=collection, rungs=made, residues=_residues(config, made)
  )
  print(found.table())
  return found


def part(
  folder: Path,
  recipe: artifacts.Recipe,
  collection: Collection,
  *,
  write: Callable[[Path], None],
  text: str = "",
) -> Collection:
  """Makes a part of a collection, or opens it.

  Args:
    folder: the artifact's.
    recipe: what it is made of.
    collection: what it is a part of; its documents are not copied.
    write: fills a folder with rows, docnos, queries and judgements.
    text: the configuration, for the provenance.
  """
  if artifacts.existing(folder, recipe) is None:
    with artifacts.building(
      folder, recipe, gin_text=text, aside=[rungs.PARENT]
    ) as draft:
      write(draft)
      rungs.write_parent(draft, collection.root, final=folder)
  else:
    _point(folder, collection)
  return Collection.open(folder)


def _point(folder: Path, collection: Collection) -> None:
  """Tells a rung where its collection lies now, if it cannot find it."""
  try:
    rungs.find_parent(folder, artifacts.load(folder))
  except ArtifactError:
    rungs.write_parent(folder, collection.root, final=folder)


def _recipes(
  config: LadderConfig, collection: Collection
) -> dict[str, artifacts.Recipe]:
  """Says what each rung is made of; folder -> recipe."""
  make = functools.partial(
    artifacts.Recipe, stage=rungs.STAGE, format_version=rungs.FORMAT_VERSION
  )
  inputs = {rungs.INPUT: collection.identity}
  shared: dict[str, Any] = {"relevance": config.relevance}
  published = config.published
  if published.docnos is not None:
    name = published.label
    arguments = shared | {"name": name, "checksum": published.checksum}
    arguments["expected"] = published.expected
    inputs |= published.inputs()
    return {name: make(arguments=arguments, inputs=inputs)}
  for setting in ("like", "dev_queries", "test_queries"):
    shared[setting] = getattr(config, setting)
  if not config.rungs:
    raise ConfigError(
      "No rung is asked for: give --rungs=1k,10k or a list, --docnos=FILE."
    )
  total = collection.num_documents
  sizes = {ladder.parse_size(str(size), total) for size in config.rungs}
  recipes = {}
  for size in sorted(sizes):
    name = ladder.label(size, total)
    full_name = f"{collection.name}-{name}"
    arguments = shared | {"name": full_name, "documents": size}
    recipes[name] = make(arguments=arguments, seed=config.seed, inputs=inputs)
  return recipes


class _Work:
  """What several rungs need, read once and only if one is made."""

  def __init__(self, config: LadderConfig, collection: Collection):
    self._config = config
    self._collection = collection

  def write(self, folder: Path, recipe: artifacts.Recipe) -> None:
    """Fills the folder of a rung."""
    part = self._rung(recipe)
    docnos = self._collection.docnos.take(part.documents)
    rung.write(
      folder, self._collection, judged=self._judged, rung=part, docnos=docnos
    )
    figures = rung.summary(
      self._judged, part, docnos=docnos, contents=self._contents
    )
    rung.write_summary(folder, figures, self._of_whole)

  def _rung(self, recipe: artifacts.Recipe) -> Rung:
    if self._config.published.docnos is not None:
      return self._config.published.rung(self._collection, self._judged)
    documents = self._order.documents(
      recipe.arguments["documents"], like=self._config.like
    )
    return ladder.rung(self._judged, self._sampled, documents)

  @functools.cached_property
  def _judged(self) -> Judged:
    return judgements.read(self._collection, relevance=self._config.relevance)

  @functools.cached_property
  def _sampled(self) -> Mapping[str, Any]:
    sizes = {
      "dev": self._config.dev_queries,
      "test": self._config.test_queries,
    }
    return ladder.sample(self._judged, sizes, seed=self._config.seed)

  @functools.cached_property
  def _order(self) -> ladder.Order:
    return ladder.order(self._judged, self._sampled, seed=self._config.seed)

  @functools.cached_property
  def _contents(self) -> Any:
    return rung.fingerprints(self._collection)

  @functools.cached_property
  def _of_whole(self) -> dict[str, Any]:
    return rung.summary(
      self._judged,
      rung.whole(self._judged),
      docnos=self._collection.docnos,
      contents=self._contents,
    )


def _residues(
  config: LadderConfig, made: Sequence[Collection]
) -> Sequence[str]:
  """Says where a share is not the collection's, and why."""
  of_whole = made[0].summary["collection"]
  lines = _residue_of_sample(made[0].summary["coverage"], of_whole["coverage"])
  for found in made:
    figures = found.summary
    lines += [
      f"{found.root.name}: {what}: {count:,}"
      for what, count in figures["changes"].items()
      if count
    ]
    size, covered = figures["documents"], figures["covered"]
    expected = size * of_whole["covered"] / of_whole["documents"]
    if abs(covered - expected) > 0.501 and TRAIN in of_whole["splits"]:
      lines.append(
        f"{found.root.name}: {covered:,} documents have a training query;"
        f" {expected:,.0f} would be as in the collection"
        f" ({_reason(config, covered > expected)})"
      )
  return lines


def _residue_of_sample(ours: float | None, whole: float | None) -> list[str]:
  if ours is None or whole is None or abs(ours - whole) < _NOTABLE:
    return []
  return [
    f"test: {_percent(ours)} of the positives that are asked for have a"
    f" training query; of those of all test queries {_percent(whole)} have"
  ]


def _reason(config: LadderConfig, more: bool) -> str:
  if config.published.docnos is not None:
    return "the list is taken as it is"
  if config.like == "paper":
    return "like=paper takes them first"
  which = "have one" if more else "have none"
  return f"so many positives of the sampled queries {which}"


def _cells(
  name: str, figures: Mapping[str, Any], splits: Sequence[str]
) -> list[str]:
  counts = [figures["splits"].get(split, {}).get("queries") for split in splits]
  return [
    name,
    f"{figures['documents']:,}",
    _percent(figures["covered"] / figures["documents"]),
    _percent(figures["coverage"]),
    *(_NONE if count is None else f"{count:,}" for count in counts),
    f"{figures['duplicates']:,}",
    figures["checksum"][:12],
  ]


def _percent(share: float | None) -> str:
  return _NONE if share is None else f"{100 * share:.1f} %"
