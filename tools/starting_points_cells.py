"""The cells of the study: what is trained, on what, from what, for how long."""

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from genret.cli import gin_files
from genret.core import artifacts
from genret.embeddings.minilm import TRAINED_ON

MINILM = "MiniLM"
NOTES = {
  MINILM: f"all-MiniLM-L6-v2: {TRAINED_ON}; it has seen questions like these",
  "MiniLM's table": "the input embeddings of all-MiniLM-L6-v2 alone",
  "MiniLM's vectors": "documents encoded by all-MiniLM-L6-v2",
  "span corruption": "T5's own objective on openly licensed text, without the"
  " passages of test questions; its hours are not in the CPU-minutes",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
  """A starting point.

  Attributes:
    knows: What was learned before it saw the collection, for the table; names
      of NOTES where they are explained.
    dense_start: Whether atomic docids start from the documents' vectors.
    checkpoint: Whether it starts from the checkpoint given by --checkpoint.
  """

  knows: str
  dense_start: bool = False
  checkpoint: bool = False


ARMS = {
  "scratch": Arm(knows="nothing"),
  "encoder": Arm(knows=MINILM, dense_start=True),
  "encoder_frozen": Arm(knows=MINILM, dense_start=True),
  "encoder_top": Arm(knows=MINILM, dense_start=True),
  "span": Arm(knows="span corruption", checkpoint=True),
  "embeddings": Arm(knows="MiniLM's table", dense_start=True),
}
DOCIDS = {
  "atomic": ("--gin_file=docids/atomic.gin",),
  "semantic": (  # more and smaller clusters than the papers', as quickstart.gin
    "--gin_file=docids/semantic.gin",
    "--gin.NUM_CLUSTERS=30",
    "--gin.LEAF_SIZE=10",
  ),
}
COLLECTIONS = ("squad", "boolq_passage")
SEEDS = {"squad": (0, 1, 2), "boolq_passage": (0,)}
MINUTES = (10.0, 40.0)


@dataclasses.dataclass(frozen=True, kw_only=True, order=True)
class Cell:
  """One run of training.

  >>> cell = Cell(
  ...   collection="squad", arm="scratch", docids="atomic", minutes=10.0, seed=0
  ... )
  >>> cell.name, cell.setting
  ('squad-scratch-atomic-10-0', 'squad-scratch-atomic')
  """

  minutes: float
  seed: int
  collection: str
  arm: str
  docids: str

  @property
  def setting(self) -> str:
    """What its cost a step depends on."""
    return f"{self.collection}-{self.arm}-{self.docids}"

  @property
  def name(self) -> str:
    """Its files are called so."""
    return f"{self.setting}-{self.minutes:g}-{self.seed}"

  @property
  def gin_file(self) -> str:
    """Among those that ship with genret."""
    return f"studies/start/{self.arm}_{self.docids}.gin"

  @property
  def knows(self) -> str:
    """What was learned beforehand, docids included."""
    arm = ARMS[self.arm]
    learned = [arm.knows]
    if self.docids == "semantic" or arm.dense_start:
      learned.append("MiniLM's vectors")
    return ", ".join(x for x in learned if x != "nothing") or "nothing"


def grid(
  minutes: Sequence[float] = MINUTES, seeds: Sequence[int] | None = None
) -> list[Cell]:
  """Lists all cells: short ones first, and the first seed of all."""
  cells = [
    Cell(
      collection=collection, arm=arm, docids=docids, minutes=budget, seed=seed
    )
    for collection, arm, docids, budget in itertools.product(
      COLLECTIONS, ARMS, DOCIDS, minutes
    )
    for seed in (SEEDS[collection] if seeds is None else seeds)
  ]
  places = list(COLLECTIONS)
  return sorted(
    cells, key=lambda c: (c.seed > 0, c.minutes, places.index(c.collection))
  )


def chosen(cells: Iterable[Cell], only: Sequence[str]) -> list[Cell]:
  """Keeps the cells that one of the filters names.

  >>> [c.name for c in chosen(grid(), ["squad,scratch,atomic,10,0"])]
  ['squad-scratch-atomic-10-0']
  >>> len(chosen(grid(), ["squad,scratch,,10", "boolq_passage,span,atomic"]))
  8

  Args:
    cells: All.
    only: Filters: collection, arm, docids, minutes, seed, joined by commas.
      An empty one, and those that are left away, stand for all; none at all
      for everything.

  Raises:
    SystemExit: A filter names nothing.
  """
  cells = list(cells)
  if not only:
    return cells
  matched = {name: [c for c in cells if _matches(c, name)] for name in only}
  for name, found in matched.items():
    if not found:
      raise SystemExit(
        f"--only={name} names no cell; expected some of"
        f" COLLECTION,ARM,DOCIDS,MINUTES,SEED: {', '.join(COLLECTIONS)};"
        f" {', '.join(ARMS)}; {', '.join(DOCIDS)}."
      )
  wanted = set().union(*matched.values())
  return [cell for cell in cells if cell in wanted]


def _matches(cell: Cell, only: str) -> bool:
  parts = (
    cell.collection,
    cell.arm,
    cell.docids,
    f"{cell.minutes:g}",
    str(cell.seed),
  )
  asked = only.split(",")
  if len(asked) > len(parts):
    return False
  return all(a in ("", p) for a, p in zip(asked, parts, strict=False))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paths:
  """Where everything is.

  Attributes:
    workdir: The folder of the study.
    sources: Collection to what `genret prepare` reads.
    checkpoint: Folder of the pre-trained checkpoint, if any.
    size: Of its T5.
  """

  workdir: Path
  sources: dict[str, str]
  checkpoint: Path | None = None
  size: str = "mini"

  def collection(self, name: str) -> Path:
    """Returns the folder of a prepared collection."""
    return self.workdir / "collections" / name / "collection"

  def embeddings(self, name: str) -> Path:
    """Returns the folder of its documents' vectors."""
    return self.workdir / "collections" / name / "embeddings"

  def docids(self, name: str, scheme: str) -> Path:
    """Returns the folder of its docids."""
    return self.workdir / "collections" / name / "docids" / scheme

  def baselines(self, name: str) -> Path:
    """Returns the folder of the rows of its baselines."""
    return self.workdir / "collections" / name / "baselines"

  def calibration(self, cell: Cell) -> Path:
    """Returns the model folder of a calibration; its cost is in PATH.json."""
    return self.workdir / "calibration" / cell.setting

  def cell(self, cell: Cell) -> Path:
    """Returns the model folder of a cell."""
    return self.workdir / "cells" / cell.name

  def result(self, cell: Cell) -> Path:
    """Returns what a cell has when it is done."""
    return self.workdir / "cells" / f"{cell.name}.json"

  def run_file(self, cell: Cell) -> Path:
    """Returns a cell's run of the test queries."""
    return self.workdir / "cells" / f"{cell.name}.trec"

  def log(self, name: str) -> Path:
    """Returns where what commands print goes."""
    return self.workdir / "logs" / f"{name}.log"


def preparations(
  collection: str, paths: Paths
) -> list[tuple[Path, str, tuple[str, ...]]]:
  """Lists what a collection needs, in turn.

  Returns:
    Of each what is there once it is done, its name, and the arguments of
    genret.
  """
  root, vectors = paths.collection(collection), paths.embeddings(collection)
  given = f"--collection={root}"
  ready = ("--gin.VECTORS=@store.squad",) if collection == "squad" else ()
  rows = paths.baselines(collection)
  return [
    (
      root,
      "prepare",
      (
        "prepare",
        f"--source={paths.sources[collection]}",
        f"--out={root}",
      ),
    ),
    (vectors, "embed", ("embed", given, f"--out={vectors}", *ready)),
    *(
      (
        paths.docids(collection, scheme),
        f"docids-{scheme}",
        (
          "docids",
          "--gin_file=runs/docids.gin",
          *flags,
          given,
          f"--out={paths.docids(collection, scheme)}",
          *([f"--embeddings={vectors}"] if scheme == "semantic" else []),
        ),
      )
      for scheme, flags in DOCIDS.items()
    ),
    (
      rows / "dense",  # the last of the rows
      "baselines",
      (
        "baselines",
        given,
        f"--out={rows}",
        "--gin.DENSE=@embed.EmbedConfig()",
        f"--gin.EmbedConfig.vectors={vectors}",
      ),
    ),
  ]


def training(
  cell: Cell, paths: Paths, *, model: Path, steps: int, eval_period: int
) -> list[str]:
  """Returns the arguments of genret that train a cell's model."""
  arm = ARMS[cell.arm]
  arguments = [
    "train",
    f"--gin_file={cell.gin_file}",
    f"--collection={paths.collection(cell.collection)}",
    f"--docids={paths.docids(cell.collection, cell.docids)}",
    f"--model_dir={model}",
    f"--train_steps={steps}",
    f"--eval_period={eval_period}",
    f"--seed={cell.seed}",
  ]
  if arm.dense_start and cell.docids == "atomic":
    arguments.append(f"--embeddings={paths.embeddings(cell.collection)}")
  if arm.checkpoint:
    arguments.insert(2, f"--gin_file=models/t5_1_1_{paths.size}.gin")
    arguments.append(f"--initial_checkpoint_path={paths.checkpoint}")
  return arguments


def settings(cell: Cell, paths: Paths) -> str:
  """Returns sixteen digits of what a cell's figures depend on.

  Its gin files with what they include, the pre-trained checkpoint, and the
  prepared collection.
  """
  arm = ARMS[cell.arm]
  names = [cell.gin_file]
  if arm.checkpoint:
    names.append(f"models/t5_1_1_{paths.size}.gin")
  found = hashlib.sha256()
  for name in names:
    for text in _texts(name):
      found.update(text.encode())
  if arm.checkpoint:
    found.update(artifacts.identity(paths.checkpoint).encode())
  root = paths.collection(cell.collection)
  found.update(artifacts.identity(root).encode())
  return found.hexdigest()[:16]


def _texts(name: str) -> Iterator[str]:
  """Yields a shipped gin file, and before it those that it includes."""
  text = gin_files.find(name).read_text("utf-8")
  for included in re.findall(r"^include '(.+)'", text, re.MULTILINE):
    yield from _texts(included)
  yield text
