"""The stage that says what synthetic queries are like, and changes nothing."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from tqdm import tqdm

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import UserError
from genret.querygen import grouped, overlap, plots, tables
from genret.querygen.describe import Description, describe
from genret.querygen.grouped import Group, GroupedQueries
from genret.querygen.near_duplicates import check_threshold

STAGE = "describe_queries"
REPORT = "report"
SUMMARY = "summary.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DescribeQueriesConfig:
  """How queries are described.

  Attributes:
    near_duplicates: queries of a document are near duplicates from this
      Jaccard similarity of their words on.
    labelled_split: the split whose queries stand in the table as well, each
      with its relevant documents; None: none do.
    relevance: the least grade that counts as relevant.
  """

  near_duplicates: float = 0.8
  labelled_split: str | None = "train"
  relevance: int = 1

  def __post_init__(self):
    check_threshold(self.near_duplicates)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
  """What was found, for people.

  Attributes:
    text: tables in Markdown.
    files: the figures; none without matplotlib.
  """

  text: str
  files: tuple[Path, ...] = ()


def run(
  config: DescribeQueriesConfig,
  queries: Mapping[str, Path],
  collection: Collection,
  *,
  out: Path,
  gin_text: str = "",
) -> Report:
  """Describes sets of queries beside each other.

  Args:
    config: how.
    queries: name of a set -> an artifact or a file of it.
    collection: whose documents they were made for.
    out: the artifact's folder: summary.json, report.md and figures.
    gin_text: the configuration, for the provenance.

  Returns:
    The report.

  Raises:
    ArtifactError: `out` holds something else, or a set is no queries.
    DataError: a file is broken, or of other documents than the collection's.
  """
  if not queries:
    raise UserError("there are no queries to describe")
  out = Path(out)
  recipe = artifacts.Recipe(
    stage=STAGE,
    arguments={**dataclasses.asdict(config), "sets": list(queries)},
    inputs={
      "collection": collection.identity,
      **{f"queries {n}": grouped.identity(path) for n, path in queries.items()},
    },
  )
  if artifacts.existing(out, recipe) is None:
    sets = {
      name: GroupedQueries.open(path, collection)
      for name, path in queries.items()
    }
    found = descriptions(config, sets, collection)
    with artifacts.building(
      out, recipe, gin_text=gin_text, aside=FIGURES
    ) as folder:
      text = f"{tables.described(found)}\n\n{tables.SPREADS}\n"
      artifacts.write_text(folder / f"{REPORT}.md", text)
      summary = {name: dataclasses.asdict(d) for name, d in found.items()}
      artifacts.write_json(folder / SUMMARY, summary)
      if plots.available():
        plots.draw(folder, found, name=REPORT)
  return report(out)


FIGURES = tuple(f"{REPORT}.{ending}" for ending in plots.FORMATS)
"""Files that are no part of an identity: they change with matplotlib."""


def report(folder: Path) -> Report:
  """Reads the report in a finished artifact."""
  files = [folder / name for name in FIGURES]
  return Report(
    text=(folder / f"{REPORT}.md").read_text(encoding="utf-8").rstrip(),
    files=tuple(path for path in files if path.exists()),
  )


def descriptions(
  config: DescribeQueriesConfig,
  sets: Mapping[str, GroupedQueries],
  collection: Collection,
) -> dict[str, Description]:
  """Describes sets of queries, and the labelled ones beside them.

  Args:
    config: how.
    sets: name -> queries.
    collection: whose.

  Returns:
    Name -> what they are like; "SPLIT queries" last, where there are any.
  """
  found = {
    name: _described(config, queries, collection, name=name)
    for name, queries in sets.items()
  }
  split = config.labelled_split
  if split in collection.splits:
    name = f"{split} queries"
    queries = GroupedQueries.labelled(
      collection, split, relevance=config.relevance
    )
    if len(queries):
      found[name] = _described(
        config, queries, collection, name=name, own_split=split
      )
  return found


def _described(
  config: DescribeQueriesConfig,
  queries: GroupedQueries,
  collection: Collection,
  *,
  name: str,
  own_split: str | None = None,
) -> Description:
  """Describes one set, which is not compared with the split it is of."""
  asked = overlap.count(queries, collection)
  return describe(
    _counted(queries, collection, label=f"describe {name}"),
    num_documents=collection.num_documents,
    overlap={split: one for split, one in asked.items() if split != own_split},
    near_duplicates=config.near_duplicates,
  )


def _counted(
  queries: GroupedQueries, collection: Collection, *, label: str
) -> Iterator[Group]:
  """Yields the groups under a progress bar over queries."""
  with tqdm(total=len(queries), desc=label, unit="query", delay=2) as bar:
    for group in queries.groups(collection):
      yield group
      bar.update(len(group[1]))
