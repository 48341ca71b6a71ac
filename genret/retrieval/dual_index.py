"""What a dual encoder makes of documents: vectors, kept for later searches."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from jaxtyping import Float
from tqdm import tqdm

from genret.core import atomic
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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Index:
  """Vectors of documents, made when they are first asked for.

  Attributes:
    spec: Of the encoder.
    params: Its parameters.
    documents: Their tokens; where these have states, the frozen part of the
      encoder is not run.
    folder: Where vectors are kept; None keeps them in memory.
  """

  spec: DualSpec
  params: Any
  documents: Documents
  folder: Path | None = None

  def vectors(self) -> Float[np.ndarray, "N D"]:
    """Returns one vector a document."""

    def make() -> np.ndarray:
      width = self.spec.dim or self.spec.model.emb_dim
      out = np.empty((self.documents.count, width), np.float32)
      for members, vectors in self._encoded():
        out[members] = vectors
      return out

    return self._kept("documents", make)

  @functools.cached_property
  def tokens(self) -> TokenVectors:
    """A vector a token of every document."""
    if self.folder is None:
      return self._made_tokens()
    folder = self._place("tokens")
    atomic.fill(folder, lambda draft: self._made_tokens().save(draft))
    return TokenVectors.load(folder)

  def encodings(self, muvera: Muvera) -> Float[np.ndarray, "N F"]:
    """Returns MUVERA's encoding of every document."""

    def make() -> np.ndarray:
      every = np.arange(self.documents.count)
      blocks = tqdm(range(0, len(every), _BLOCK), desc="MUVERA", delay=2)
      parts = [
        muvera.documents(self.tokens.padded(every[i : i + _BLOCK]))
        for i in blocks
      ]
      return np.concatenate(parts).astype(np.float16)

    return self._kept(f"muvera-{muvera.key}", make)

  def _kept(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    if self.folder is None:
      return make()

    def fill(draft: Path) -> None:
      draft.mkdir()
      np.save(draft / _VECTORS, make())

    folder = self._place(name)
    atomic.fill(folder, fill)
    return np.load(folder / _VECTORS, mmap_mode="r")

  def _place(self, name: str) -> Path:
    self.folder.mkdir(parents=True, exist_ok=True)
    return self.folder / name

  def _made_tokens(self) -> TokenVectors:
    lengths = self.documents.lengths(np.arange(self.documents.count))
    offsets = np.append(0, np.cumsum(lengths))
    width = self.spec.dim or self.spec.model.emb_dim
    out = np.empty((offsets[-1], width), np.float16)
    for members, vectors in self._encoded():
      for member, rows in zip(members, vectors, strict=True):
        out[offsets[member] : offsets[member + 1]] = rows[: lengths[member]]
    return TokenVectors(vectors=out, offsets=offsets)

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
