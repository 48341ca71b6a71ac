"""Trees of clusters: genret's hierarchical k-means, faiss and scikit-learn.

All split the same vectors by k = 10 until a cluster holds at most 100. The
peers recurse in the same way, one `fit` a cluster: `faiss.Kmeans` with its 25
iterations, once on its default sample of 256 points a centroid and once on
all points, and `MiniBatchKMeans` with its own defaults. genret runs with its
own defaults too, twice: the first tree of a process compiles a program, later
ones do not. Both are held to the targets.

The error is the sum over the leaves of squared distances to the leaf's mean.
Since finer leaves have a lower one, their number stands beside it, and so
does the error of the root's k centroids, which has no such freedom.

  python tools/benchmarks/clustering.py --quick
  python tools/benchmarks/clustering.py --full   # 200k, and 1M from a file

The vectors are of a mixture of Gaussians in three levels (30 topics of 20 of
10, of uneven weights, noise of uneven spread), scaled to length 1.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import reporting
import watching

K = 10
LEAF = 100
DIM = 384
SEED = 0
OURS = ("genret, compiling", "genret, compiled")
ITERATIONS = 25  # of faiss, which are its default
MEMORY = 4.0  # GiB
PACKAGES = ("genret", "jax", "numpy", "faiss-cpu", "scikit-learn")
_BLOCK = 16_384

Split = Callable[[np.ndarray], np.ndarray]  # vectors -> label of each


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tree:
  """What a clustering came to.

  Attributes:
    seconds: of wall time.
    cpu: seconds of processor time.
    leaves: clusters that are not split further.
    error: squared distances to the leaves' means, added up.
    root_error: the same of the root's k clusters.
    depth: levels of clusters.
  """

  seconds: float
  cpu: float
  leaves: int
  error: float
  root_error: float
  depth: int


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--quick", action="store_true", help="20k vectors")
  how.add_argument("--full", action="store_true", help="200k, and 1M of ours")
  parser.add_argument("--grow", type=Path, help=argparse.SUPPRESS)
  given = parser.parse_args()
  if given.grow:
    _grow(given.grow)
    return
  checks = list(compare(200_000 if given.full else 20_000))
  checks += from_file(1_000_000 if given.full else 50_000)
  reporting.finish(checks, packages=PACKAGES)


def compare(count: int) -> Iterator[reporting.Check]:
  """Measures all on the same vectors in memory."""
  vectors = np.concatenate(list(mixture(count)))
  jax.block_until_ready(jnp.zeros(1))  # a library being loaded, like faiss
  found = {}
  for name in OURS:
    found[name] = measured(vectors, ours(vectors))
    print(f"{name} {found[name]}", file=sys.stderr, flush=True)
  targets = {
    "faiss, 256 points a centroid": (lambda: faiss_split(256), 2.5),
    "faiss, all points": (lambda: faiss_split(count), 2.5),
    "MiniBatchKMeans": (minibatch_split, 10.0),
  }
  for name, (load, _) in targets.items():
    try:
      found[name] = measured(vectors, recursion(vectors, load()))
    except ImportError as error:
      yield reporting.missing(name, reason=str(error))
      continue
    print(f"{name} {found[name]}", file=sys.stderr, flush=True)
  for name, tree in found.items():
    yield from figures(name, tree)
  for name, (_, bound) in targets.items():
    if name in found:
      yield from against(name, found[name], found, bound)


def figures(name: str, tree: Tree) -> Iterator[reporting.Check]:
  """Lists what a tree came to."""
  size = f"{tree.leaves:,} leaves, depth {tree.depth}"
  yield reporting.Check(
    name=f"{name}: time",
    figure=tree.seconds,
    unit="s",
    note=f"{tree.cpu:.1f} s of processor time; {size}",
  )
  yield reporting.Check(name=f"{name}: error", figure=tree.error, unit="")
  yield reporting.Check(
    name=f"{name}: error of the root", figure=tree.root_error, unit=""
  )


def against(
  name: str, tree: Tree, found: Mapping[str, Tree], bound: float
) -> Iterator[reporting.Check]:
  """Holds our trees to a peer's."""
  for ours in OURS:
    yield reporting.at_least(
      f"{name} / {ours}, time",
      tree.seconds / found[ours].seconds,
      bound,
      unit="times",
    )
  ours = found[OURS[0]]
  for what, ratio in (
    ("error", ours.error / tree.error),
    ("error of the root", ours.root_error / tree.root_error),
  ):
    yield reporting.at_most(
      f"genret / {name}, {what}", ratio, 1.0, unit="times"
    )


def from_file(count: int) -> list[reporting.Check]:
  """Grows a tree over a memory-mapped file in a process of its own."""
  with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "vectors.npy"
    out = np.lib.format.open_memmap(
      path, mode="w+", dtype=np.float32, shape=(count, DIM)
    )
    for i, block in enumerate(mixture(count)):
      out[i * _BLOCK : i * _BLOCK + len(block)] = block
    out.flush()
    del out
    log = Path(folder) / "log"
    memory = watching.run([sys.executable, __file__, f"--grow={path}"], log=log)
    said = json.loads(log.read_text().splitlines()[-1])
  return [
    reporting.Check(
      name=f"{count:,} from a file: time", figure=said["seconds"], unit="s"
    ),
    reporting.Check(
      name=f"{count:,} from a file: leaves",
      figure=said["leaves"],
      unit="",
      note=f"depth {said['depth']}, sizes {said['sizes']}",
    ),
    reporting.at_most(
      f"{count:,} from a file: memory", memory, MEMORY, unit="GiB"
    ),
  ]


def _grow(path: Path) -> None:
  """Splits a file's vectors and prints what came of it."""
  from genret.docids.hierarchy import Hierarchy, leaves
  from genret.docids.quality import Spread

  vectors = np.load(path, mmap_mode="r")
  start = time.perf_counter()
  tree = leaves(vectors, Hierarchy(k=K, leaf_size=LEAF, seed=SEED))
  seconds = time.perf_counter() - start
  sizes = Spread.of(np.array([len(leaf.rows) for leaf in tree]))
  report = {
    "seconds": seconds,
    "leaves": len(tree),
    "depth": max(len(leaf.path) for leaf in tree),
    "sizes": str(sizes),
  }
  print(json.dumps(report))


def mixture(count: int) -> Iterator[np.ndarray]:
  """Draws vectors, a block at a time."""
  random = np.random.default_rng(SEED)
  centres = np.zeros((1, DIM), np.float32)
  for spread, parts in ((1.0, 30), (0.7, 20), (0.5, 10)):
    noise = random.normal(size=(len(centres), parts, DIM)).astype(np.float32)
    centres = (centres[:, None] + spread * noise).reshape(-1, DIM)
  weights = random.dirichlet(np.full(len(centres), 0.5))
  spread = np.arange(1, DIM + 1, dtype=np.float32) ** -0.3
  spread *= 0.7 / np.sqrt(np.square(spread).mean())
  for start in range(0, count, _BLOCK):
    size = min(_BLOCK, count - start)
    noise = random.standard_normal((size, DIM), np.float32)
    drawn = centres[random.choice(len(centres), size, p=weights)]
    drawn += spread * noise
    yield drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


Grown = Callable[[], list[tuple[tuple[int, ...], np.ndarray]]]


def measured(vectors: np.ndarray, grow: Grown) -> Tree:
  """Grows a tree once and measures it: leaves come as paths and rows."""
  start, cpu = time.perf_counter(), time.process_time()
  tree = grow()
  seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
  roots = [
    np.concatenate([rows for path, rows in tree if path[:1] == (i,)])
    for i in sorted({path[0] for path, _ in tree})
  ]
  return Tree(
    seconds=seconds,
    cpu=cpu,
    leaves=len(tree),
    error=error(vectors, [rows for _, rows in tree]),
    root_error=error(vectors, roots),
    depth=max(len(path) for path, _ in tree),
  )


def error(vectors: np.ndarray, clusters: list[np.ndarray]) -> float:
  """Adds up squared distances to the clusters' means."""
  total = 0.0
  for rows in clusters:
    points = vectors[rows]
    points -= points.mean(0)
    total += float(np.square(points).sum(dtype=np.float64))
  return total


def ours(vectors: np.ndarray) -> Grown:
  """Returns genret's, with its defaults."""
  from genret.docids.hierarchy import Hierarchy, leaves

  hierarchy = Hierarchy(k=K, leaf_size=LEAF, seed=SEED)
  return lambda: [(leaf.path, leaf.rows) for leaf in leaves(vectors, hierarchy)]


def recursion(vectors: np.ndarray, split: Split) -> Grown:
  """Returns a peer's, which splits one cluster after another."""

  def grow() -> list[tuple[tuple[int, ...], np.ndarray]]:
    done, stack = [], [((), np.arange(len(vectors)))]
    while stack:
      path, rows = stack.pop()
      if len(rows) <= LEAF:
        done.append((path, rows))
        continue
      labels = split(vectors[rows])
      parts = [rows[labels == i] for i in range(K)]
      parts = [part for part in parts if len(part)]
      stack += [((*path, i), part) for i, part in enumerate(parts)]
    return done

  return grow


def faiss_split(points_a_centroid: int) -> Split:
  """Returns one fit of faiss's."""
  import faiss

  def split(points: np.ndarray) -> np.ndarray:
    found = faiss.Kmeans(
      points.shape[1],
      K,
      niter=ITERATIONS,
      seed=SEED + 1,
      max_points_per_centroid=points_a_centroid,
      min_points_per_centroid=1,
    )
    found.train(points)
    return found.index.search(points, 1)[1][:, 0]

  return split


def minibatch_split() -> Split:
  """Returns one fit of scikit-learn's."""
  from sklearn.cluster import MiniBatchKMeans

  return lambda points: MiniBatchKMeans(K, random_state=SEED).fit_predict(
    points
  )


if __name__ == "__main__":
  main()
