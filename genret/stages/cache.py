"""The cache stage: a mixture's examples tokenised once, for all hosts."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.tasks import example_store, mixtures, seqio_cache
from genret.tasks.host_tensorflow import seqio


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheConfig:
  """What is cached and how.

  Attributes:
    mixture: builds the mixture from the collection and the docid table:
      `mixtures.build`, or a functools.partial of it.
    vocabulary: of the model that will read it: "t5", or that of its sentence
      encoder, as "bert_uncased".
    seqio: whether the tasks are also written in seqio's own cache layout,
      which t5x and other programs on seqio read; `genret train` does not.
    num_shards: files of each task in that layout; None for 64, and more for
      more than 16M examples.
    pipeline_options: Apache Beam's flags for writing that layout, the runner
      among them.
  """

  mixture: Callable[..., seqio.Mixture]
  vocabulary: str = "t5"
  seqio: bool = True
  num_shards: int | None = None
  pipeline_options: tuple[str, ...] = seqio_cache.LOCAL


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cached:
  """What there is now.

  Attributes:
    mixture: the name under which seqio knows the mixture.
    num_examples: of all its tasks.
    folders: of the tasks in seqio's layout, if they were wanted.
    description: a table of the tasks.
  """

  mixture: str
  num_examples: int
  folders: tuple[Path, ...]
  description: str


def run(
  config: CacheConfig, collection: Collection, docids: Path, *, out: Path
) -> Cached:
  """Fills a cache with what a mixture needs and the cache lacks.

  A cache holds any number of mixtures; tasks that they share are kept once.
  It is no artifact itself: in `examples/` lie artifacts, one a task, and in
  `seqio/` folders that end with a file COMPLETED.

  Args:
    config: what is cached.
    collection: what the tasks read.
    docids: the folder of its docids.
    out: the cache, new or not.

  Returns:
    What there is now.

  Raises:
    ConfigError: Apache Beam is wanted and not installed, or a task has no
      example.
    ArtifactError: the docids are of another collection.
  """
  if not callable(config.mixture):
    raise ConfigError(
      "The mixture to cache is a function such as @mixtures.build; "
      f"{config.mixture!r} came."
    )
  if config.seqio:
    seqio_cache.check_options(config.pipeline_options)
  table = DocidTable.load(docids)
  other = mixtures.in_vocabulary(config.vocabulary)
  mixture = config.mixture(collection, table, cache_dir=str(out), **other)
  tasks = mixture.tasks if config.seqio else ()
  folders = [
    seqio_cache.write(
      task,
      docids,
      cache_dir=Path(out) / example_store.SEQIO,
      num_shards=config.num_shards,
      pipeline_options=config.pipeline_options,
    )
    for task in tasks
  ]
  return Cached(
    mixture=mixture.name,
    num_examples=sum(t.source.examples.num_examples for t in mixture.tasks),
    folders=tuple(folders),
    description=mixtures.describe(mixture),
  )
