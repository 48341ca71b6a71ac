"""What a dual encoder makes of documents: vectors, kept for later searches."""

import dataclasses
import functools
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from jaxtyping import Float
from tqdm import tqdm

from genret.core import atomic, fingerprints
from genret.core.errors import ArtifactError, ConfigError
from genret.models.dual_encoder import DualEncoder
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.late_interaction import TokenVectors
from genret.retrieval.muvera import Muvera
from genret.tasks.documents import Documents
from genret.tasks.pair_feed import padded_length
from genret.tasks.states import StateRows

_VECTORS = "vectors.npy"
_BATCH = 64  # texts encoded at a time
_BLOCK = 512  # documents whose vectors MUVERA reads at a time


Parts = Iterator[tuple[Any, np.ndarray]]
"""Places in an array, and what belongs there."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Index:
  """Vectors of documents, made when they are first asked for.

  With a folder they are written to disk as they are made, a batch of
  documents at a time, and mapped: in memory are ids of documents and a batch.
  Without one all are in memory.

  Attributes:
    spec: Of the encoder.
    params: Its parameters.
    documents: Their tokens; where these have states, the frozen part of the
      encoder is not run.
    folder: Where vectors are kept, in a folder named by parameters and tokens,
      so that a model that is trained anew does not find those of another; None
      keeps them in memory.
  """

  spec: DualSpec
  params: Any
  documents: Documents
  folder: Path | None = None

  def vectors(self) -> Float[np.ndarray, "N D"]:
    """Returns one vector a document."""
    shape = (self.documents.count, self._width)
    return self._kept("documents", self._encoded, shape, dtype=np.float32)

  @functools.cached_property
  def tokens(self) -> TokenVectors:
    """A vector a token of every document."""
    lengths = self.documents.lengths(np.arange(self.documents.count))
    offsets = np.append(0, np.cumsum(lengths))

    def parts() -> Parts:
      for members, vectors in self._encoded():
        for member, rows in zip(members, vectors, strict=True):
          place = slice(offsets[member], offsets[member + 1])
          yield place, rows[: lengths[member]]

    shape = (int(offsets[-1]), self._width)
    vectors = self._kept("tokens", parts, shape, dtype=np.float16)
    return TokenVectors(vectors=vectors, offsets=offsets)

  def encodings(self, muvera: Muvera) -> Float[np.ndarray, "N F"]:
    """Returns MUVERA's encoding of every document."""
    count, tokens = self.documents.count, self.tokens

    def parts() -> Parts:
      for first in tqdm(range(0, count, _BLOCK), desc="MUVERA", delay=2):
        place = slice(first, min(first + _BLOCK, count))
        rows = np.arange(place.start, place.stop)
        yield place, muvera.documents(tokens.padded(rows))

    name = f"muvera-{muvera.key}"
    shape = (count, muvera.size(self._width))
    return self._kept(name, parts, shape, dtype=np.float16)

  @property
  def _width(self) -> int:
    return self.spec.dim or self.spec.model.emb_dim

  @functools.cached_property
  def key(self) -> str:
    """Sixteen digits of parameters and tokens."""
    params = jax.tree_util.tree_leaves_with_path(self.params)
    documents, examples = self.documents, self.documents.examples
    found = {
      **{jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in params},
      "tokens": examples.tokens,
      "offsets": examples.offsets,
      "chosen": documents.chosen,
    }
    return fingerprints.digest(found)[:16]

  def _kept(
    self,
    name: str,
    parts: Callable[[], Parts],
    shape: tuple[int, int],
    *,
    dtype: type[np.floating],
  ) -> np.ndarray:
    """Returns an array that is made of parts, if it is not there."""
    if self.folder is None:
      return _filled(np.empty(shape, dtype), parts())

    def make(draft: Path) -> None:
      draft.mkdir()
      _check_room(draft, math.prod(shape) * np.dtype(dtype).itemsize)
      out = np.lib.format.open_memmap(
        draft / _VECTORS, mode="w+", dtype=dtype, shape=shape
      )
      _filled(out, parts()).flush()

    folder = self.folder / self.key / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    atomic.fill(folder, make)
    return _mapped(folder)

  def _encoded(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    every = np.arange(self.documents.count)
    return encoded(
      self.spec.module,
      self.params,
      self.documents.lengths(every),
      padded=self.documents.padded,
      states=self._states,
      label="encode documents",
    )

  @property
  def _states(self) -> Callable[[np.ndarray, int], np.ndarray] | None:
    kept = self.documents.examples.states
    if kept is None:
      return None
    rows = StateRows([kept])
    return lambda members, length: rows.gather(
      self.documents.places(members, length)
    )


def _filled(out: np.ndarray, parts: Parts) -> np.ndarray:
  for place, values in parts:
    out[place] = values
  return out


def _mapped(folder: Path) -> np.ndarray:
  try:
    return np.load(folder / _VECTORS, mmap_mode="r")
  except (OSError, ValueError) as error:
    raise ArtifactError(
      f"{folder} holds no vectors ({error}). Remove it; they are then made"
      " anew."
    ) from error


def _check_room(folder: Path, needed: int) -> None:
  """Refuses to write what a disk has no room for: a map would only crash."""
  free = shutil.disk_usage(folder).free
  if needed > free:
    raise ConfigError(
      f"Vectors of the documents need {needed / 1e9:,.1f} GB in"
      f" {folder.parent}, where {free / 1e9:,.1f} GB are free. Make room."
    )


def encoded(
  module: DualEncoder,
  params: Any,
  lengths: np.ndarray,
  *,
  padded: Callable[[np.ndarray, int], np.ndarray],
  states: Callable[[np.ndarray, int], np.ndarray] | None = None,
  label: str = "encode",
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Encodes texts, in batches of one size and of like length.

  Args:
    module: The encoder.
    params: Its parameters.
    lengths: Ids of each text.
    padded: Returns the ids of some texts, padded to a length.
    states: Returns their states, alike; None runs the whole encoder.
    label: Of the progress bar.

  Yields:
    Numbers of texts, and their vectors.
  """
  order = np.argsort(lengths, kind="stable")
  with tqdm(total=len(order), desc=label, unit="text", delay=2) as bar:
    for first in range(0, len(order), _BATCH):
      members = order[first : first + _BATCH]
      length = padded_length(lengths[members].max())
      rows = np.resize(members, _BATCH)  # the last batch has some twice
      known = states(rows, length) if states else None
      found = _vectors(module, params, padded(rows, length), states=known)
      yield members, np.asarray(found)[: len(members)]
      bar.update(len(members))


@functools.partial(jax.jit, static_argnums=0)
def _vectors(
  module: DualEncoder, params: Any, tokens: Array, *, states: Array | None
) -> Array:
  return module.apply(
    {"params": params}, tokens, states=states, method="vectors"
  )
