"""The prepare stage: from a collection as published to one we train on."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from genret.core import artifacts, collection, links
from genret.core.collection import Collection, Query
from genret.core.docnos import Docnos
from genret.core.errors import ConfigError, suggest
from genret.core.text import normalise_query
from genret.corpora import embedded, named
from genret.corpora.source import Judgement, OnError, Source
from genret.evaluation import splits

T = TypeVar("T")

TFDS = "tfds"  # the data sets' folder within the collection's


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareConfig:
  """Which collection is prepared, and how its queries are split.

  Attributes:
    source: a reader, called with `on_error` (`embedded.squad`, or `beir.read`
      and `irds.read` with their first argument bound), or a name that
      `corpora.named.find` knows: "squad", "ir_datasets:ID", a path.
    splits: our name of a split -> the source's, for those to be prepared;
      None prepares all under the names they have.
    on_error: "raise" at the first fault, or "skip" and count.
    merge_answers: whether queries that read the same share their judgements.
      False leaves the judgements as they were published.
    dev_share: of the training texts that become dev where the source has no
      such split; 0 leaves it without.
    seed: draws that share.
    tfds: whether the collection is also written as TFDS data sets, into
      `tfds/` in its folder. That is an artifact of its own and no part of the
      collection's identity.
    beam_runner: who writes them in parallel, such as "DirectRunner"; None
      writes them in this process.
    beam_options: flags of that runner.
  """

  source: Callable[..., Source] | str = embedded.squad
  splits: Mapping[str, str] | None = None
  on_error: OnError = "raise"
  merge_answers: bool = True
  dev_share: float = 0.05
  seed: int = 0
  tfds: bool = False
  beam_runner: str | None = None
  beam_options: tuple[str, ...] = ()

  def __post_init__(self):
    if self.beam_runner is not None and not self.tfds:
      raise ConfigError(
        f"beam_runner is {self.beam_runner!r}, which writes TFDS data sets, "
        "but tfds is False; set both."
      )
    if not 0 <= self.dev_share < 1:
      raise ConfigError(
        f"dev_share is at least 0 and below 1; {self.dev_share} came."
      )


def run(config: PrepareConfig, out: Path, *, gin_text: str = "") -> Collection:
  """Makes the artifact of a collection, or opens it, and prints its counts.

  Documents pass one by one; in memory are some 40 bytes a document, query texts
  and judgements. A run that was killed starts the collection anew, and goes on
  with its TFDS data sets.

  Args:
    config: what is prepared.
    out: the artifact's folder.
    gin_text: the configuration, for the provenance.

  Returns:
    The collection; its `summary` has the counts.

  Raises:
    ArtifactError: `out` holds something else.
    ConfigError: there is no such source or split.
    DataError: says at which file and line the source is at fault.
  """
  out = Path(out)
  read = config.source
  source = (named.find(read) if isinstance(read, str) else read)(
    on_error=config.on_error
  )
  chosen = _chosen(config, source)
  recipe = _recipe(config, source)
  if artifacts.existing(out, recipe) is None:
    with artifacts.building(out, recipe, gin_text=gin_text) as folder:
      _write(folder, config, source=source, chosen=chosen)
  prepared = Collection.open(out)
  print(report(prepared))
  if config.tfds:
    print(f"TFDS data sets in {_write_tfds(config, prepared, gin_text)}")
  return prepared


def report(prepared: Collection) -> str:
  """Words the counts of a prepared collection, several lines of them."""
  summary = prepared.summary
  lines = [
    f"{prepared.name}: {summary['documents']:,} documents, "
    f"{summary['queries']:,} queries ({summary['unjudged']:,} in no split)"
  ]
  for split in prepared.splits:
    counts = summary["splits"][split]
    lines.append(
      f"  {split}: {counts['queries']:,} queries, "
      f"{counts['judgements']:,} judgements, "
      f"{counts['positives']:,} of them positive"
    )
  if summary["coverage"] is not None:
    share = f"{100 * summary['coverage']:.1f} %"
    lines.append(f"  coverage: {share} of test positives have a training query")
  if "links" in summary:
    lines.append(_links_line(summary["links"]))
  lines += [f"  {what}: {n:,}" for what, n in summary["changes"].items() if n]
  lines += [
    f"  skipped {what}: {n:,}" for what, n in summary["skipped"].items()
  ]
  return "\n".join(lines)


def _links_line(counts: Mapping[str, int]) -> str:
  return (
    f"  links: {counts['anchors']:,} between {counts['pages']:,} pages; left"
    f" out {counts['outside']:,} that lead out of the corpus,"
    f" {counts['without_page']:,} that name no page,"
    f" {counts['misplaced']:,} in no paragraph"
  )


def _chosen(
  config: PrepareConfig, source: Source
) -> dict[str, Callable[[], Iterator[Judgement]]]:
  wanted = config.splits or {split: split for split in source.qrels}
  for split, theirs in wanted.items():
    if theirs not in source.qrels:
      raise ConfigError(
        f"{source.name} has no split {theirs!r}, wanted as {split!r}."
        + suggest(theirs, source.qrels)
      )
    if not split or split != Path(split).name or split.startswith("."):
      raise ConfigError(f"{split!r} cannot be the name of a split's file.")
  return {split: source.qrels[theirs] for split, theirs in wanted.items()}


def _recipe(config: PrepareConfig, source: Source) -> artifacts.Recipe:
  return artifacts.Recipe(
    stage=collection.STAGE,
    arguments={
      "name": source.name,
      "splits": config.splits,
      "on_error": config.on_error,
      "merge_answers": config.merge_answers,
      "dev_share": config.dev_share,
    },
    seed=config.seed,
    inputs=source.origin(),
    format_version=collection.FORMAT_VERSION,
  )


def _write(
  folder: Path,
  config: PrepareConfig,
  *,
  source: Source,
  chosen: Mapping[str, Callable[[], Iterator[Judgement]]],
) -> None:
  num_documents = collection.write_corpus(
    folder, _progress(source.documents(), "documents")
  )
  linked = _write_links(folder, source)
  texts: dict[str, str] = {}
  num_queries = collection.write_queries(
    folder, _progress(_noted(source.queries(), texts), "queries")
  )
  # Not held here, so that each step can let go of what the last one made.
  final, changes = _arranged(
    {
      split: _collected(_progress(judgements(), f"{split} judgements"))
      for split, judgements in chosen.items()
    },
    texts,
    config,
  )
  for split, judged in final.items():
    collection.write_qrels(folder, split, judged)
  judged_ids = set().union(*final.values())
  summary = {
    "documents": num_documents,
    "queries": num_queries,
    "unjudged": num_queries - len(judged_ids),
    "splits": {split: counts(judged) for split, judged in final.items()},
    "coverage": _coverage(final),
    "changes": changes,
    "skipped": source.skipped(),
    **linked,
  }
  artifacts.write_json(folder / collection.SUMMARY, summary)


def _write_links(folder: Path, source: Source) -> dict[str, dict[str, int]]:
  """Writes the links of a source that has some; returns what counts them."""
  if source.links is None:
    return {}
  docnos = Docnos.load(folder / collection.DOCNOS)
  pages = _progress(source.links(), "pages of links")
  counts = links.write(folder, pages, docnos)
  return {} if counts is None else {"links": counts}


def _write_tfds(
  config: PrepareConfig, prepared: Collection, gin_text: str
) -> Path:
  """Writes the TFDS data sets, or goes on with them.

  The collection stands by now, so that a kill costs a shard at most.
  """
  from genret.corpora import tfds_builder  # four seconds and a gigabyte

  beam = config.beam_runner and tfds_builder.BeamConfig(
    runner=config.beam_runner, options=config.beam_options
  )
  out = prepared.root / TFDS
  return tfds_builder.build(prepared, out, beam=beam, gin_text=gin_text)


def _arranged(
  qrels: splits.Splits, texts: splits.Texts, config: PrepareConfig
) -> tuple[dict[str, collection.Qrels], dict[str, int]]:
  """Merges answers, keeps splits apart, carves a dev; counts each change."""
  changes: dict[str, int] = {}
  if config.merge_answers:
    merged = splits.merge_answers(qrels, texts)
    changes["texts whose differing judgements were merged"] = merged.texts
    changes["train queries joined to one of the same text"] = merged.joined
    qrels = merged.splits
    del merged
  separated = splits.separate(qrels, texts)
  del qrels
  for split, count in separated.dropped.items():
    changes[f"{split} queries dropped, their text is in another split"] = count
  final: dict[str, collection.Qrels] = dict(separated.splits)
  del separated
  if "dev" not in final and "train" in final and config.dev_share:
    carved = splits.carve_dev(
      final["train"], texts, share=config.dev_share, seed=config.seed
    )
    if carved.dev and carved.train:
      final |= {"train": carved.train, "dev": carved.dev}
      changes["train queries carved off as dev"] = len(carved.dev)
  splits.check_disjoint(final, texts)
  return final, changes


def _collected(
  judgements: Iterable[Judgement],
) -> dict[str, dict[str, int]]:
  out: dict[str, dict[str, int]] = {}
  for item in judgements:
    out.setdefault(item.query_id, {})[item.docno] = item.grade
  return out


def _noted(queries: Iterable[Query], texts: dict[str, str]) -> Iterator[Query]:
  """Passes queries on and notes by which text each is compared."""
  for query in queries:
    texts[query.query_id] = normalise_query(query.text)
    yield query


def counts(qrels: collection.Qrels) -> dict[str, int]:
  """Counts the queries of a split, its judgements and positives."""
  grades = [grade for judged in qrels.values() for grade in judged.values()]
  return {
    "queries": len(qrels),
    "judgements": len(grades),
    "positives": sum(grade >= 1 for grade in grades),
  }


def _coverage(final: splits.Splits) -> float | None:
  if not {"train", "test"} <= final.keys():
    return None
  return splits.coverage(final["train"], final["test"])


def _progress(items: Iterable[T], what: str) -> Iterable[T]:
  return tqdm(items, desc=what, unit=" items", delay=2, leave=False)
