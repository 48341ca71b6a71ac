"""What each stage costs as the corpus grows, from text files to a run file.

Takes the names and titles of NCBI's taxonomy through prepare, ladder, embed
(random vectors), semantic docids, their trie, 100 training steps and the
retrieval of 100 queries, at several sizes. Every stage is a process of its
own, as a user would start it. Its clock starts when its libraries are loaded;
a watcher adds up the anonymous and shared memory of it and its children.

  python tools/benchmarks/scale.py --quick     # 1k, 10k, 100k documents
  python tools/benchmarks/scale.py --full      # 10k, 100k, 1M
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import reporting
import scale_source
import watching

SIZES = {
  "quick": (1_000, 10_000, 100_000),
  "full": (10_000, 100_000, 1_000_000),
}
MEMORY = 4.0  # GiB that no stage may hold more of
SLACK = 1.2  # factor on the growth that is allowed
PACKAGES = ("genret", "jax", "seqio", "tensorflow", "numpy")
STUDY = "studies/scale/taxa.gin"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
  """What a stage took.

  Attributes:
    seconds: of wall time, its libraries already loaded.
    memory: GiB of anonymous and shared memory at the worst moment.
  """

  seconds: float
  memory: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
  """All stages at one size.

  Attributes:
    documents: N.
    levels: symbols of the longest semantic docid.
    costs: by stage.
  """

  documents: int
  levels: int
  costs: Mapping[str, Cost]


def commands(root: Path, documents: int) -> Iterator[tuple[str, list[str]]]:
  """Yields each stage and its command line, in order, for one size."""
  rung = f"{root}/ladder/all"
  yield (
    "prepare",
    ["prepare", f"--source={root}/source", f"--out={root}/collection"],
  )
  yield (
    "ladder",
    [
      "ladder",
      f"--collection={root}/collection",
      f"--rungs={documents // 10},all",
      f"--out={root}/ladder",
    ],
  )
  yield (
    "embed",
    [
      "embed",
      f"--collection={rung}",
      f"--vectors={root}/vectors.npy",
      f"--out={root}/vectors",
    ],
  )
  yield (
    "docids",
    [
      "docids",
      "--gin_file=runs/docids.gin",
      "--gin_file=docids/semantic.gin",
      f"--collection={rung}",
      f"--embeddings={root}/vectors",
      f"--out={root}/docids",
    ],
  )
  yield "trie", ["trie", f"{root}/docids", f"{root}/trie"]
  yield (
    "train",
    [
      "train",
      f"--gin_file={STUDY}",
      f"--collection={rung}",
      f"--docids={root}/docids",
      f"--model_dir={root}/model",
    ],
  )
  yield (
    "retrieve",
    ["retrieve", f"--model_dir={root}/model", f"--collection={rung}", "--k=10"],
  )


def measure(root: Path, documents: int, *, source: Path) -> Measured:
  """Runs all stages at one size in an empty folder."""
  scale_source.write(root / "source", source, documents=documents)
  scale_source.write_vectors(root / "vectors.npy", documents)
  costs = {}
  for stage, arguments in commands(root, documents):
    print(f"  {documents:>9,} {stage:9}", end="", flush=True)
    clock = root / f"{stage}.json"
    peak = watching.run(
      [sys.executable, __file__, "--child", str(clock), *arguments],
      log=root / f"{stage}.log",
    )
    seconds = json.loads(clock.read_text())
    costs[stage] = Cost(seconds=seconds, memory=peak)
    print(
      f" {seconds:8.1f} s {documents / seconds:12,.0f} documents/s"
      f" {peak:6.2f} GiB",
      flush=True,
    )
  codes = np.load(root / "docids" / "codes.npy", mmap_mode="r")
  return Measured(documents=documents, levels=codes.shape[1], costs=costs)


def child(clock: Path, arguments: Sequence[str]) -> int:
  """Runs one stage in this process and writes how long it took."""
  import jax
  import seqio  # noqa: F401

  from genret.cli import main
  from genret.core.docid_table import DocidTable
  from genret.decoding.device_trie import DeviceTrie
  from genret.decoding.trie import Trie

  def trie(docids: str, out: str) -> int:
    table = DocidTable.load(Path(docids))
    built = Trie.build(table.codes, table.vocab_size)
    built.save(Path(out))
    jax.block_until_ready(DeviceTrie.place(built))
    return 0

  started = time.perf_counter()
  code = (
    trie(*arguments[1:]) if arguments[0] == "trie" else main.main(arguments)
  )
  clock.write_text(json.dumps(time.perf_counter() - started))
  return code


def allowed(stage: str) -> Callable[[Measured], float]:
  """Returns what a stage's time may grow with: N, N levels, or N log N."""
  if stage == "docids":
    return lambda one: one.documents * one.levels
  if stage == "trie":
    return lambda one: one.documents * math.log(one.documents)
  return lambda one: one.documents


def checks(measured: Sequence[Measured]) -> Iterator[reporting.Check]:
  """Yields the figures of every stage, and how they grow."""
  for one in measured:
    for stage, cost in one.costs.items():
      name = f"{stage}, {one.documents:,}"
      yield reporting.Check(name=name, figure=cost.seconds, unit="s")
      yield reporting.at_most(name, cost.memory, MEMORY, unit="GiB")
  for small, large in itertools.pairwise(measured):
    for stage in large.costs:
      growth = large.costs[stage].seconds / small.costs[stage].seconds
      bound = SLACK * allowed(stage)(large) / allowed(stage)(small)
      yield reporting.at_most(
        f"{stage}, {small.documents:,} to {large.documents:,}",
        growth,
        bound,
        unit="times",
      )


def main() -> None:
  """Measures and prints."""
  if sys.argv[1:2] == ["--child"]:
    sys.exit(child(Path(sys.argv[2]), sys.argv[3:]))
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  size = parser.add_mutually_exclusive_group()
  size.add_argument("--quick", action="store_true", help="the default")
  size.add_argument("--full", action="store_true", help="up to a million")
  size.add_argument("--documents", type=int, nargs="+", help="other sizes")
  parser.add_argument(
    "--taxa",
    type=Path,
    default=scale_source.TAXA,
    help="taxa.tsv.xz: taxid, parent, rank, name, common name, title",
  )
  parser.add_argument(
    "--workdir", type=Path, help="where to work, and leave all that was made"
  )
  given = parser.parse_args()
  if not given.taxa.is_file():
    reporting.finish(
      [reporting.missing("scale", reason=f"there is no {given.taxa}")],
      packages=PACKAGES,
    )
    return
  sizes = given.documents or SIZES["full" if given.full else "quick"]
  measured = []
  with contextlib.ExitStack() as stack:
    work = given.workdir or Path(stack.enter_context(_scratch()))
    for documents in sorted(sizes):
      root = work / f"{documents}"
      shutil.rmtree(root, ignore_errors=True)
      root.mkdir(parents=True)
      measured.append(measure(root, documents, source=given.taxa))
      if not given.workdir:
        shutil.rmtree(root)
  reporting.finish(list(checks(measured)), packages=PACKAGES)


def _scratch() -> tempfile.TemporaryDirectory:
  return tempfile.TemporaryDirectory(prefix="genret-scale-")


if __name__ == "__main__":
  main()
