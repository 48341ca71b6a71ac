"""The filter stage: synthetic queries in, those that find their document out.

Ranks are what takes long. They are kept in blocks in a hidden folder beside
the artifact, and a killed run goes on with the first block that is missing.
"""

import dataclasses
import functools
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from genret.core import artifacts, atomic
from genret.core.collection import Collection
from genret.core.errors import ConfigError, UserError
from genret.embeddings.store import EmbeddingStore
from genret.querygen import filter as round_trip
from genret.querygen import grouped, plots, tables
from genret.querygen.filter import Rule, Search, Verdict
from genret.querygen.grouped import GroupedQueries
from genret.querygen.rates import RateCounts, Rates
from genret.stages import describe_queries, searchers
from genret.stages.describe_queries import (
  FIGURES,
  REPORT,
  SUMMARY,
  DescribeQueriesConfig,
  Report,
)
from genret.stages.searchers import Opening, SearcherConfig
from genret.tasks import synthetic
from genret.tasks.synthetic import SyntheticQuery

STAGE = "filter"
DROPPED = "dropped.jsonl"
DOCUMENTS = "documents.tsv"
BLOCK = 4096  # queries searched between two files of ranks
CHUNK = 512  # and between two moves of the progress bar

Find = Callable[[Sequence[SyntheticQuery]], np.ndarray]
"""Queries -> the rank of each one's document."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterConfig:
  """Which queries stay, and what searches.

  Attributes:
    rule: which queries stay.
    searcher: what must find a query's document; None: nothing is searched,
      and only repeats go.
    depth: documents searched a query; None for the rule's k. Where it is
      more, rates are reported at larger k too, and the best query of a
      document is known by its rank.
    describe: how the queries are described, before and after.
  """

  rule: Rule = Rule()
  searcher: SearcherConfig | None = SearcherConfig()
  depth: int | None = None
  describe: DescribeQueriesConfig = DescribeQueriesConfig()

  def __post_init__(self):
    if self.searcher is None:
      if self.rule.near_duplicates is None:
        raise ConfigError(
          "nothing is filtered: there is no searcher, and near duplicates stay"
        )
      # Frozen, and yet k must not say that something was searched.
      object.__setattr__(self, "rule", dataclasses.replace(self.rule, k=None))
    elif self.rule.k is None:
      raise ConfigError(
        "k is None, so every query stays; to search nothing, set"
        " FilterConfig.searcher to None"
      )
    elif self.depth is not None and self.depth < self.rule.k:
      raise ConfigError(
        f"depth is {self.depth} and k is {self.rule.k}: at least k documents"
        " must be searched a query"
      )

  @property
  def searched(self) -> int:
    """Documents searched a query; 0 without a search."""
    if self.searcher is None:
      return 0
    return self.rule.k if self.depth is None else self.depth


def run(
  config: FilterConfig,
  queries: Path,
  collection: Collection,
  *,
  out: Path,
  embeddings: EmbeddingStore | None = None,
  gin_text: str = "",
) -> Report:
  """Filters synthetic queries, and reports what they were and are like.

  Args:
    config: which stay.
    queries: an artifact, or a file as tasks read it.
    collection: whose documents they were made for.
    out: the artifact's folder: queries.jsonl, dropped.jsonl (the others, with
      rank and verdict), documents.tsv (of each document with queries, how many
      there were, find it, and stay), summary.json, report.md and figures.
    embeddings: of the documents, for dense search, which else makes them.
    gin_text: the configuration, for the provenance.

  Returns:
    The report.

  Raises:
    ArtifactError: `out` holds something else; the queries or the model are
      none.
    DataError: a query is of a document that the collection does not have, or
      the file is broken or empty.
    UserError: the model or the embeddings are of another collection; or no
      query stays.
  """
  out = Path(out)
  opening = _opening(config, collection, embeddings)
  recipe = _recipe(config, collection, queries, opening=opening)
  if artifacts.existing(out, recipe) is None:
    given = GroupedQueries.open(queries, collection)
    working = out.with_name(f".{out.name}.ranks-{recipe.key}")
    ranks = _ranks(config, given, collection, opening=opening, working=working)
    with artifacts.building(
      out, recipe, gin_text=gin_text, aside=FIGURES
    ) as folder:
      rates = _write(config, given, collection, ranks=ranks, folder=folder)
      _describe(config, given, collection, rates=rates, folder=folder)
    for begun in out.parent.glob(f".{out.name}.ranks-*"):
      shutil.rmtree(begun, ignore_errors=True)
  return describe_queries.report(out)


def _opening(
  config: FilterConfig,
  collection: Collection,
  embeddings: EmbeddingStore | None,
) -> Opening | None:
  if config.searcher is None:
    return None
  return searchers.opening(config.searcher, collection, embeddings=embeddings)


def _recipe(
  config: FilterConfig,
  collection: Collection,
  queries: Path,
  *,
  opening: Opening | None,
) -> artifacts.Recipe:
  arguments: dict[str, Any] = {
    "rule": dataclasses.asdict(config.rule),
    "depth": config.searched,
    "describe": dataclasses.asdict(config.describe),
    "searcher": None if opening is None else opening.arguments,
  }
  return artifacts.Recipe(
    stage=STAGE,
    arguments=arguments,
    inputs={
      "collection": collection.identity,
      "queries": grouped.identity(queries),
      **({} if opening is None else opening.inputs),
    },
  )


def _ranks(
  config: FilterConfig,
  queries: GroupedQueries,
  collection: Collection,
  *,
  opening: Opening | None,
  working: Path,
) -> np.ndarray:
  """Searches all queries but those of blocks that stand; int32 [Q]."""
  if opening is None:
    return np.zeros(len(queries), np.int32)
  working.mkdir(parents=True, exist_ok=True)
  find = functools.cache(
    lambda: _finder(config, collection, opening.load(working))
  )
  with tqdm(total=len(queries), desc="round trip", unit="query") as bar:
    blocks = [
      _block_ranks(block, working / f"{number:06d}.npy", find=find, bar=bar)
      for number, block in enumerate(_pieces(queries, BLOCK))
    ]
  return np.concatenate(blocks)


def _block_ranks(
  block: Sequence[SyntheticQuery],
  path: Path,
  *,
  find: Callable[[], Find],
  bar: tqdm,
) -> np.ndarray:
  """Returns the ranks of a block, from the file that keeps them if it can."""
  if path.exists():
    bar.initial += len(block)
    bar.update(len(block))
    return np.load(path)
  found = []
  for chunk in _pieces(block, CHUNK):
    found.append(find()(chunk))
    bar.update(len(chunk))
  ranks = np.concatenate(found)
  with atomic.replacing(path) as draft, open(draft, "wb") as file:
    np.save(file, ranks)
  return ranks


def _finder(
  config: FilterConfig, collection: Collection, search: Search
) -> Find:
  return functools.partial(
    round_trip.ranks,
    search=search,
    depth=config.searched,
    docnos=collection.docnos,
    text_numbers=round_trip.text_numbers(collection.documents()),
  )


def _pieces(
  queries: Iterable[SyntheticQuery], size: int
) -> Iterator[list[SyntheticQuery]]:
  remaining = iter(queries)
  while piece := list(itertools.islice(remaining, size)):
    yield piece


def _write(
  config: FilterConfig,
  queries: GroupedQueries,
  collection: Collection,
  *,
  ranks: np.ndarray,
  folder: Path,
) -> Rates:
  """Writes the queries that stay, and the others; counts both."""
  counts = RateCounts(config.rule, depth=config.searched)
  done = 0
  with (
    artifacts.writing(folder / synthetic.QUERIES) as kept,
    artifacts.writing(folder / DROPPED) as dropped,
    artifacts.writing(folder / DOCUMENTS) as documents,
  ):
    documents.write("docno\tqueries\tfound\tkept\n")
    for document, group in queries.groups(collection):
      own = ranks[done : done + len(group)]
      done += len(group)
      verdicts = round_trip.judge(group, own, config.rule)
      counts.add(group, own, verdicts)
      found = int(config.rule.found(own).sum())
      stay = sum(verdict in round_trip.STAY for verdict in verdicts)
      documents.write(f"{document.docno}\t{len(group)}\t{found}\t{stay}\n")
      for query, verdict, rank in zip(group, verdicts, own, strict=True):
        file = kept if verdict in round_trip.STAY else dropped
        file.write(_line(query, verdict, int(rank)))
  rates = counts.rates(num_documents=collection.num_documents)
  if not rates.kept:
    raise UserError(
      f"Not one of the {rates.queries:,} queries of {queries.path} finds its"
      f" document within {config.rule.k:,}: were they made for the documents"
      f" of {collection.name!r}? Ask for a larger k, or keep the best query of"
      " each document."
    )
  return rates


def _line(query: SyntheticQuery, verdict: Verdict, rank: int) -> str:
  """Words a query, and why it goes if it does."""
  line = synthetic.write_line(query)
  if verdict in round_trip.STAY:
    return line
  fields = json.loads(line) | {"verdict": verdict, "rank": rank}
  return json.dumps(fields, ensure_ascii=False) + "\n"


def _describe(
  config: FilterConfig,
  before: GroupedQueries,
  collection: Collection,
  *,
  rates: Rates,
  folder: Path,
) -> None:
  after = GroupedQueries.open(folder / synthetic.QUERIES, collection)
  found = describe_queries.descriptions(
    config.describe, {"before": before, "after": after}, collection
  )
  text = f"{tables.kept(rates)}\n\n{tables.described(found)}\n"
  artifacts.write_text(folder / f"{REPORT}.md", f"{text}\n{tables.SPREADS}\n")
  summary = {
    "documents": collection.num_documents,
    "queries": rates.kept,
    "left_out": before.left_out,
    "filter": dataclasses.asdict(rates),
    "described": {name: dataclasses.asdict(d) for name, d in found.items()},
  }
  artifacts.write_json(folder / SUMMARY, summary)
  if plots.available():
    plots.draw(folder, found, rates=rates, name=REPORT)
