"""Quantised docids: our k-means against faiss's quantisers, time and error.

Three codebooks of 256 learn from all vectors (65,536 of more), then all are
encoded; k-means takes at most 25 iterations everywhere. genret quantises what
is left greedily; faiss does so with one beam, and by its default with five.
The error is the mean squared distance of a vector to what its code stands for.
Each is run twice, and the second run counts: genret's programs are compiled
by then.

  python tools/benchmarks/quantising.py --quick   # 10,000 vectors of 384
  python tools/benchmarks/quantising.py --full    # 200,000

The vectors are those of clustering.py.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator

import clustering
import numpy as np
import reporting

from genret.docids import quantize
from genret.docids.quantize import Codebooks

LEVELS, BITS, SAMPLE, ITERATIONS = 3, 8, 1 << 16, 25
SHAPE = Codebooks(
  levels=LEVELS, k=1 << BITS, sample=SAMPLE, iterations=ITERATIONS
)
PACKAGES = ("genret", "jax", "numpy", "faiss-cpu")

Quantise = Callable[[np.ndarray], np.ndarray]  # vectors -> what codes stand for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
  """What a quantiser came to.

  Attributes:
    seconds: of wall time.
    cpu: seconds of processor time.
    error: mean squared distance to what the codes stand for.
  """

  seconds: float
  cpu: float
  error: float


def main() -> None:
  """Runs all and prints a table and the checks."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  size = parser.add_mutually_exclusive_group(required=True)
  size.add_argument("--quick", action="store_true")
  size.add_argument("--full", action="store_true")
  count = 200_000 if parser.parse_args().full else 10_000
  vectors = np.concatenate(list(clustering.mixture(count)))
  found = {}
  for name, way in ways().items():
    found[name] = measured(way, vectors)
    print(f"{name}: {found[name]}", flush=True)
  print(f"{count:,} x {vectors.shape[1]}, {LEVELS} codebooks of {1 << BITS}")
  print("\n| | seconds | of processor | mean squared error |")
  print("|---|---|---|---|")
  for name, f in found.items():
    print(f"| {name} | {f.seconds:.2f} | {f.cpu:.2f} | {f.error:.5f} |")
  print()
  reporting.finish(list(checks(found)), packages=PACKAGES)


def ways() -> dict[str, Quantise]:
  """Returns the quantisers by name; faiss's where it is installed."""
  found: dict[str, Quantise] = {"genret residual": residual}
  try:
    import faiss  # noqa: F401
  except ImportError:
    return found | {"genret product": product}
  return found | {
    "faiss residual, one beam": lambda vectors: faiss_residual(vectors, 1),
    "faiss residual, five beams": lambda vectors: faiss_residual(vectors, 5),
    "genret product": product,
    "faiss product": faiss_product,
  }


def measured(quantise: Quantise, vectors: np.ndarray) -> Figures:
  """Runs a quantiser twice and measures the second run."""
  quantise(vectors)
  wall, cpu = time.perf_counter(), time.process_time()
  decoded = quantise(vectors)
  wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
  error = np.square(vectors - decoded, dtype=np.float64).sum(1).mean()
  return Figures(seconds=wall, cpu=cpu, error=float(error))


def checks(found: dict[str, Figures]) -> Iterator[reporting.Check]:
  """Compares what is comparable: greedy with greedy."""
  for kind, peer in (("residual", ", one beam"), ("product", "")):
    ours, name = found[f"genret {kind}"], f"faiss {kind}{peer}"
    if name not in found:
      yield reporting.missing(f"{name} / genret", reason="faiss is absent")
      continue
    error = ours.error / found[name].error
    yield reporting.at_most(f"error, genret / {name}", error, 1.01, unit="")
    speed = found[name].seconds / ours.seconds
    yield reporting.Check(
      name=f"time, {name} / genret", figure=speed, unit="times"
    )


def residual(vectors: np.ndarray) -> np.ndarray:
  """Genret's residual quantisation."""
  found = quantize.residual(vectors, SHAPE)
  rows = np.arange(len(vectors))
  return vectors - quantize.residuals(
    vectors, rows, codes=found.codes, books=found.books
  )


def product(vectors: np.ndarray) -> np.ndarray:
  """Genret's product quantisation."""
  found = quantize.product(vectors, SHAPE)
  chosen = [book[found.codes[:, m]] for m, book in enumerate(found.books)]
  return np.concatenate(chosen, axis=1)


def faiss_residual(vectors: np.ndarray, beams: int) -> np.ndarray:
  """The same by faiss, which keeps several codings of a vector at a time."""
  import faiss

  made = faiss.ResidualQuantizer(vectors.shape[1], LEVELS, BITS)
  made.train_type = faiss.ResidualQuantizer.Train_default
  made.max_beam_size = beams
  made.cp.niter = ITERATIONS
  return _coded(made, vectors)


def faiss_product(vectors: np.ndarray) -> np.ndarray:
  """Product quantisation by faiss."""
  import faiss

  made = faiss.ProductQuantizer(vectors.shape[1], LEVELS, BITS)
  made.cp.niter = ITERATIONS
  return _coded(made, vectors)


def _coded(made, vectors: np.ndarray) -> np.ndarray:
  random = np.random.default_rng(0)
  sample = vectors
  if len(vectors) > SAMPLE:
    sample = vectors[
      np.sort(random.choice(len(vectors), SAMPLE, replace=False))
    ]
  made.train(np.ascontiguousarray(sample))
  return made.decode(made.compute_codes(vectors))


if __name__ == "__main__":
  main()
