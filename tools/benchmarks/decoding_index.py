"""What an index of docids costs: time, memory, bytes on the device.

Each index is built in a process of its own that holds nothing but the docids
and has built a small index before, so that the peak of its resident memory,
which Linux resets through /proc/self/clear_refs, is the build's alone.
"""

import concurrent.futures
import dataclasses
import functools
import gc
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import decoding_docids
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import reporting

VOCABULARY = 2048
SIZES = {"quick": (100_000, 1_000_000), "full": (8_800_000, 20_000_000)}
_REPEATED = 1_000_000  # up to so many docids: the median of three builds
_IN_DICTS = 1_000_000  # beyond, nested dicts do not fit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
  """What a build takes, a million docids.

  Attributes:
    seconds: of CPU, of all threads.
    peak: GB of resident memory beyond what was there before, docids
      included, at the worst moment; None where the system does not say.
    device: MB of the arrays that a search needs; None of what has none.
    search: milliseconds of one search, 8 queries and 40 beams, whose logits
      cost nothing: whatever N is, not by the million. None of peers.
  """

  seconds: float
  peak: float | None
  device: float | None = None
  search: float | None = None


def checks(
  *,
  full: bool = False,
  documents: int | None = None,
  static_checkout: Path | None = None,
  **_: object,
) -> list[reporting.Check]:
  """Measures indexes of uniform docids, V = 2,048 and T = 8.

  Args:
    full: whether to measure the large sizes as well.
    documents: the only size to measure, instead of the usual ones.
    static_checkout: STATIC's repository; None to leave it out.
  """
  sizes = SIZES["quick"] + (SIZES["full"] if full else ())
  done = []
  for size in (documents,) if documents else sizes:
    with tempfile.TemporaryDirectory() as folder:
      path = Path(folder) / "codes.npy"
      np.save(path, decoding_docids.uniform(size, VOCABULARY))
      done += _indexes(path, size=size, static_checkout=static_checkout)
  return done


def _indexes(
  path: Path, *, size: int, static_checkout: Path | None
) -> list[reporting.Check]:
  """Measures every index of the docids in a file."""
  name = f"index of {size:,}:"
  repeats = 3 if size <= _REPEATED else 1
  done = _report(f"{name} genret", _alone(_genret, path, repeats), bounds=True)
  if static_checkout is None:
    reason = "no --static_checkout given"
    done.append(reporting.missing(f"{name} STATIC", reason=reason))
  else:
    build = functools.partial(_static, checkout=static_checkout)
    try:
      done += _report(f"{name} STATIC", _alone(build, path, repeats))
    except ImportError as error:
      done.append(reporting.missing(f"{name} STATIC", reason=str(error)))
  if size > _IN_DICTS:
    reason = "takes 1.7 GB a million"
    done.append(reporting.missing(f"{name} nested dicts", reason=reason))
  else:
    done += _report(f"{name} nested dicts", _alone(_dicts, path, 1))
  return done


def _report(
  name: str, cost: Cost, *, bounds: bool = False
) -> list[reporting.Check]:
  """Lays a cost out as rows, with the targets where it is genret's."""
  rows = [
    (f"{name}, build", cost.seconds, 1.0, "CPU-s/million"),
    (f"{name}, peak", cost.peak, 0.15, "GB/million"),
    (f"{name}, device", cost.device, 25.0, "MB/million"),
  ]
  done = []
  if cost.search is not None:
    done.append(
      reporting.Check(name=f"{name}, a search", figure=cost.search, unit="ms")
    )
  for row, figure, bound, unit in rows:
    if figure is None:
      continue
    if bounds:
      done.append(reporting.at_most(row, figure, bound, unit=unit))
    else:
      done.append(reporting.Check(name=row, figure=figure, unit=unit))
  if cost.peak is None:
    reason = "/proc/self/clear_refs cannot be written"
    done.append(reporting.missing(rows[1][0], reason=reason))
  return done


def _alone(build: Callable[[Path, int], Cost], path: Path, repeats: int):
  """Calls a function in a fresh process."""
  with concurrent.futures.ProcessPoolExecutor(
    1, mp_context=multiprocessing.get_context("spawn")
  ) as pool:
    return pool.submit(build, path, repeats).result()


def _genret(path: Path, repeats: int) -> Cost:
  from genret.decoding.device_trie import DeviceTrie
  from genret.decoding.trie import Trie

  build = functools.partial(Trie.build, vocab_size=VOCABULARY)
  trie, cost = _measured(build, path, repeats)
  device = DeviceTrie.place(trie)
  return dataclasses.replace(
    cost, device=_megabytes(device, path), search=_searched(trie, device)
  )


@flax.struct.dataclass
class _Table:
  """A decoder that knows the logits of each position beforehand."""

  logits_TV: jax.Array

  def start(self, encoded: jax.Array) -> tuple[()]:
    del encoded
    return ()

  def step(
    self, cache: tuple[()], parents: object, symbols: jax.Array, t: object
  ) -> tuple[jax.Array, tuple[()]]:
    del parents
    at = t + jnp.arange(symbols.shape[-1])
    shape = (*symbols.shape, self.logits_TV.shape[1])
    return jnp.broadcast_to(self.logits_TV[at], shape), cache

  def logits(self, hidden: jax.Array, t: object) -> jax.Array:
    del t
    return hidden


def _searched(trie: Any, placed: Any) -> float:
  """Searches, checks what was found, and returns milliseconds."""
  from genret.decoding.beam_search import beam_search

  random = np.random.default_rng(0)
  table = random.standard_normal((trie.length, VOCABULARY), np.float32)
  search = jax.jit(beam_search, static_argnames="num_beams")
  call = functools.partial(
    search, _Table(jnp.asarray(table)), jnp.zeros((8, 1)), placed, num_beams=40
  )
  seconds = reporting.median_seconds(
    lambda: jax.block_until_ready(call()), repeats=5
  )
  beams = jax.device_get(call())
  chances = np.asarray(jax.nn.log_softmax(table))
  rows = trie.rows[beams.rows]  # [B, K, T]
  scores = chances[np.arange(trie.length), rows].sum(axis=-1)
  if not (beams.valid.all() and np.allclose(scores, beams.scores, atol=1e-3)):
    raise RuntimeError("the search of the index found what is not there")
  return 1000 * seconds


def _static(path: Path, repeats: int, *, checkout: Path) -> Cost:
  import decoding_peers

  build = decoding_peers.static_builder(checkout)
  build = functools.partial(build, vocab_size=VOCABULARY)
  index, cost = _measured(build, path, repeats)
  device = jax.device_put(index)
  return dataclasses.replace(cost, device=_megabytes(device, path))


def _dicts(path: Path, repeats: int) -> Cost:
  import decoding_peers

  return _measured(decoding_peers.dict_trie, path, repeats)[1]


def _measured(
  build: Callable[[np.ndarray], Any], path: Path, repeats: int
) -> tuple[Any, Cost]:
  """Builds an index several times; the first build's memory counts."""
  codes = np.load(path)
  millions = len(codes) / 1e6
  build(codes[: min(1000, len(codes))])
  gc.collect()
  before = _peak_from_here()
  times, index, peak = [], None, None
  for _ in range(repeats):
    index = None
    start = time.process_time()
    index = build(codes)
    times.append((time.process_time() - start) / millions)
    if before is not None and peak is None:
      peak = (_resident("VmHWM") - before) / 1e9 / millions
  return index, Cost(seconds=statistics.median(times), peak=peak)


def _peak_from_here() -> int | None:
  """Makes the peak of resident memory what is resident now; returns it."""
  try:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
  except OSError:
    return None
  return _resident("VmHWM")


def _resident(field: str) -> int:
  """Reads a count of bytes of this process."""
  status = Path("/proc/self/status").read_text(encoding="ascii")
  (line,) = (row for row in status.splitlines() if row.startswith(field))
  return int(line.split()[1]) * 1024


def _megabytes(arrays: Any, path: Path) -> float:
  """Sums the bytes of a pytree's arrays, in MB a million docids."""
  millions = len(np.load(path, mmap_mode="r")) / 1e6
  total = sum(leaf.nbytes for leaf in jax.tree.leaves(arrays))
  return total / 1e6 / millions
