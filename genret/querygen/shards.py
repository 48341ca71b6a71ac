"""Queries in shards of documents: what is written once is not made again."""

import collections
import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from genret.core import artifacts, atomic
from genret.tasks import synthetic
from genret.tasks.synthetic import SyntheticQuery

COUNTS = "counts.json"


class Tally:
  """Told of work on a shard as it is done.

  Attributes:
    counts: what was counted in the shard, by name.
  """

  def __init__(self, bar: tqdm):
    self._bar = bar
    self.counts: collections.Counter[str] = collections.Counter()

  def done(self, documents: int = 1) -> None:
    """Moves the bar on by so many finished documents."""
    self._bar.update(documents)

  def count(self, name: str, number: int = 1) -> None:
    """Adds to a count, which is kept with the shard."""
    self.counts[name] += number


Make = Callable[[range, Tally], Iterable[SyntheticQuery]]
"""Rows of a shard and its tally -> the queries of those documents, in corpus
order; it calls `tally.done()` once for each row, also for one without queries.
Randomness of a document may follow from a seed and its row alone, so that a
shard made later is the shard it would have been."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shards:
  """Queries of consecutive documents, a file for each so many documents.

  A shard takes its name once it is whole and on disk. The work can be killed
  at any moment, and goes on with the first shard that is missing.

  Attributes:
    folder: where the shards are, `00000.jsonl`, `00001.jsonl`, …
    num_documents: of the corpus.
    shard_size: documents in a shard: what a killed run loses at most.
  """

  folder: Path
  num_documents: int
  shard_size: int

  @classmethod
  def beside(
    cls, out: Path, recipe: artifacts.Recipe, *, documents: int, size: int
  ) -> "Shards":
    """Names the shards of an artifact, in a hidden folder beside it.

    Args:
      out: the artifact's folder.
      recipe: what is being made; another has other shards.
      documents: of the corpus.
      size: documents in a shard.
    """
    folder = _working_folder(out, recipe)
    return cls(folder=folder, num_documents=documents, shard_size=size)

  def __len__(self) -> int:
    return -(-self.num_documents // self.shard_size)

  def rows(self, number: int) -> range:
    """Returns the rows of a shard's documents.

    >>> shards = Shards(folder=Path("x"), num_documents=5, shard_size=2)
    >>> [shards.rows(number) for number in range(len(shards))]
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    first = number * self.shard_size
    return range(first, min(first + self.shard_size, self.num_documents))

  def fill(self, make: Make, *, label: str = "generate") -> None:
    """Makes the shards that are missing, one after another.

    Args:
      make: makes the queries of one.
      label: what the bar, which counts documents, is called.
    """
    self.folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(len(self)) if not self._path(n).exists()]
    there = self.num_documents - sum(len(self.rows(n)) for n in missing)
    with tqdm(
      total=self.num_documents,
      initial=there,
      desc=label,
      unit=" documents",
      disable=not missing,
    ) as bar:
      for number in missing:
        tally = Tally(bar)
        lines = map(synthetic.write_line, make(self.rows(number), tally))
        text = "".join(lines)
        counts = dict(sorted(tally.counts.items()))
        artifacts.write_json(self._counts_path(number), counts)
        artifacts.write_text(self._path(number), text)

  def counts(self) -> dict[str, int]:
    """Returns the counts of all shards together."""
    total: collections.Counter[str] = collections.Counter()
    for number in range(len(self)):
      text = self._counts_path(number).read_text(encoding="utf-8")
      total.update(json.loads(text))
    return dict(sorted(total.items()))

  def join(self, path: Path) -> None:
    """Writes all queries into one file; every shard stands.

    Args:
      path: the file, in a folder that `artifacts.building` yielded.
    """
    with open(path, "wb") as file:
      for number in range(len(self)):
        with open(self._path(number), "rb") as shard:
          shutil.copyfileobj(shard, file)

  def _path(self, number: int) -> Path:
    return self.folder / f"{number:05d}.jsonl"

  def _counts_path(self, number: int) -> Path:
    return self.folder / f"{number:05d}.{COUNTS}"


def forget(out: Path) -> None:
  """Removes the shards of a finished artifact, and those given up before."""
  for folder in working_folders(out):
    shutil.rmtree(folder, ignore_errors=True)


def working_folders(out: Path) -> Iterator[Path]:
  """Yields the folders of shards that stand beside an artifact."""
  for folder in out.parent.glob(f".{out.name}.shards-*"):
    if not atomic.is_draft(folder):
      yield folder


def _working_folder(out: Path, recipe: artifacts.Recipe) -> Path:
  return out.with_name(f".{out.name}.shards-{recipe.key}")
