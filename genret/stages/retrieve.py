"""The retrieval stage: a model folder and queries in, a run file out."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from genret.core import runs
from genret.core.collection import Collection, Query
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError
from genret.retrieval import dual_spec, model_folder
from genret.retrieval.dual import DualRetriever
from genret.retrieval.generative import Retriever
from genret.retrieval.muvera import Muvera
from genret.training.partitioning import MeshShape

_QUERIES_A_CHUNK = 512  # between two moves of the progress bar


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrieveConfig:
  """Which queries to search, how deep, with what.

  Attributes:
    split: Whose queries: `train`, `dev`, `test`.
    k: Documents a query.
    num_beams: Docids kept a step; None for `k`.
    checkpoint: `best`, `newest`, or a step.
    scoring: `raw` or `renormalised`; None for the model's own way.
    mesh: How devices share a model too large for one. As it is by default one
      device holds it all, which is faster.
    constrained: Whether the search follows the trie of docids. Else the model
      writes what it likes, and what is no docid is dropped.
    muvera: Of a model of late interaction: how candidates are chosen that are
      then ranked exactly; None ranks all documents.
  """

  split: str = "test"
  k: int = 100
  num_beams: int | None = None
  checkpoint: str | int = "best"
  scoring: Literal["raw", "renormalised"] | None = None
  mesh: MeshShape = MeshShape()
  constrained: bool = True
  muvera: Muvera | None = None


_OF_DOCIDS = {
  "num_beams": None,
  "scoring": None,
  "mesh": MeshShape(),
  "constrained": True,
}
"""Settings of a search that writes docids, and their defaults."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retrieved:
  """What a retrieval wrote.

  Attributes:
    path: The run file.
    num_queries: Queries searched.
    seconds: Wall time of searching, compilation included.
  """

  path: Path
  num_queries: int
  seconds: float


def run(
  config: RetrieveConfig,
  model_dir: Path,
  collection: Collection,
  *,
  out: Path | None = None,
) -> Retrieved:
  """Searches all queries of a split and writes a TREC run file.

  Args:
    config: The settings.
    model_dir: A model folder.
    collection: Whose queries are searched.
    out: The run file; None for `runs/<collection>-<split>.trec` in the model
      folder, with `-<Muvera.name>` before the dot where there is one.

  Returns:
    Where the run is, and what it took.

  Raises:
    UserError: If the documents of the collection are not the model's.
  """
  retriever = opened(config, model_dir, collection)
  check_documents(retriever.table, model_dir, collection)
  queries = list(collection.queries(config.split))
  started = time.monotonic()
  found: dict[str, list[runs.Hit]] = {}
  for chunk in _chunks(queries, f"retrieve {model_dir.name}"):
    found |= retriever.run(chunk, k=config.k, num_beams=config.num_beams)
  seconds = time.monotonic() - started
  by = (config.muvera.name,) if config.muvera else ()
  name = "-".join((collection.name, config.split, *by))
  path = out or model_dir / model_folder.RUNS / f"{name}.trec"
  runs.write_trec(path, found, tag=_tag(retriever.spec.scheme, *by))
  return Retrieved(path=path, num_queries=len(queries), seconds=seconds)


def opened(
  config: RetrieveConfig, model_dir: Path, collection: Collection
) -> Retriever | DualRetriever:
  """Loads the model of a folder, whichever command wrote it.

  Raises:
    ArtifactError: If it is no whole model folder.
    ConfigError: If some setting has no meaning for its model.
  """
  if dual_spec.is_dual(model_dir):
    check_dual(config, model_dir)
    return DualRetriever.load(
      model_dir, collection, checkpoint=config.checkpoint, muvera=config.muvera
    )
  if config.muvera is not None:
    raise ConfigError(
      "MUVERA encodes the vectors of late interaction, and the model in"
      f" {model_dir} writes docids; leave RetrieveConfig.muvera away."
    )
  return Retriever.load(
    model_dir,
    checkpoint=config.checkpoint,
    scoring=config.scoring,
    shape=None if config.mesh == MeshShape() else config.mesh,
    constrained=config.constrained,
  )


def check_dual(config: RetrieveConfig, model_dir: Path) -> None:
  """Raises a ConfigError if settings are about docids, and there are none."""
  for name, default in _OF_DOCIDS.items():
    if getattr(config, name) != default:
      raise ConfigError(
        f"RetrieveConfig.{name} is about writing docids, and the model in"
        f" {model_dir} compares vectors of all documents; leave it away."
      )


def check_documents(
  table: DocidTable, model_dir: Path, collection: Collection
) -> None:
  """Raises a UserError unless a model's documents are the collection's."""
  if table.docnos != collection.docnos:
    raise UserError(
      f"The model in {model_dir} indexes other documents than those of"
      f" {collection.name} in {collection.root}."
    )


def _chunks(queries: Sequence[Query], label: str) -> Iterator[Sequence[Query]]:
  """Yields the queries in chunks, under a progress bar."""
  with tqdm(
    total=len(queries), desc=label, unit="query", dynamic_ncols=True
  ) as bar:
    for start in range(0, len(queries), _QUERIES_A_CHUNK):
      chunk = queries[start : start + _QUERIES_A_CHUNK]
      yield chunk
      bar.update(len(chunk))


def _tag(scheme: str, *by: str) -> str:
  """Names the system in a run file, in one word.

  >>> _tag("permuted 2d semantic")
  'genret-permuted-2d-semantic'
  >>> _tag("late-interaction", "muvera-0123-500")
  'genret-late-interaction-muvera-0123-500'
  """
  return "-".join(("genret", *scheme.split(), *by))
