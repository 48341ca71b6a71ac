"""The docids stage: a collection's documents as rows of symbols."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from genret.core import artifacts, docid_table
from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.docids import atomic, quality
from genret.docids.collisions import Policy, check, resolve
from genret.embeddings.store import EmbeddingStore
from genret.stages.described import described

STAGE = "docids"
QUALITY = "quality.json"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DocidsConfig:
  """Which docids are made.

  Attributes:
    scheme: `fit` of a scheme's module, or a functools.partial of it that
      binds the scheme's own settings.
    seed: handed to the scheme, and of what the policy draws.
    collisions: what becomes of documents that share a docid: they do
      ("share"), one more symbol tells them apart ("extra"), or it is an error
      ("forbid").
  """

  scheme: Callable[..., DocidTable] = atomic.fit
  seed: int = 0
  collisions: Policy = "share"

  def __post_init__(self):
    check(self.collisions)
    if self.seed < 0:
      raise ConfigError(f"seed is at least 0; {self.seed} came.")


def run(
  config: DocidsConfig,
  collection: Collection,
  embeddings: EmbeddingStore | None,
  *,
  out: Path,
  gin_text: str = "",
) -> DocidTable:
  """Makes the docids artifact of a collection, or opens it.

  The table's figures are printed and stand beside it in quality.json; fewer
  than 0.9 distinct docids a document are warned about.

  Args:
    config: which docids are made.
    collection: whose documents they name.
    embeddings: of that collection, for schemes that need them; the figures
      then say how alike documents are by what they share of their docids.
      What is given is an input of the artifact.
    out: the artifact's folder.
    gin_text: the configuration, for the provenance.

  Returns:
    The table, memory-mapped.

  Raises:
    ArtifactError: `out` holds something else.
    ConfigError: a setting that the scheme refuses.
    UserError: the embeddings are not this collection's, or documents share
      a docid and may not.
  """
  out = Path(out)
  recipe = _recipe(config, collection, embeddings)
  if artifacts.existing(out, recipe) is None:
    vectors = None
    if embeddings is not None:
      vectors = embeddings.aligned(collection.docnos)
    table = config.scheme(collection, embeddings=vectors, seed=config.seed)
    shared = 0
    if config.collisions == "extra":
      shared = sum(map(len, table.collisions()))
    table = resolve(table, config.collisions, seed=config.seed)
    found = quality.describe(table, vectors, resolved=shared)
    print(found)
    _warn(found)
    with artifacts.building(out, recipe, gin_text=gin_text) as folder:
      table.save(folder)
      artifacts.write_json(folder / QUALITY, dataclasses.asdict(found))
  return DocidTable.load(out)


def _recipe(
  config: DocidsConfig,
  collection: Collection,
  embeddings: EmbeddingStore | None,
) -> artifacts.Recipe:
  scheme = described(config.scheme, ignore=("collection", "embeddings", "seed"))
  inputs = {"collection": collection.identity}
  if embeddings is not None:
    inputs["embeddings"] = embeddings.identity
  return artifacts.Recipe(
    stage=STAGE,
    arguments={"scheme": scheme, "collisions": config.collisions},
    seed=config.seed,
    inputs=inputs,
    format_version=docid_table.FORMAT_VERSION,
  )


def _warn(found: quality.Quality) -> None:
  if found.uniqueness < quality.ENOUGH_UNIQUE:
    _log.warning(
      "only %.1f %% of %s docids are distinct (%d documents share theirs);"
      " under 90 %% retrieval is known to collapse",
      100 * found.uniqueness,
      found.scheme,
      found.collisions,
    )
