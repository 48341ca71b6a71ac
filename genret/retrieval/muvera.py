"""MUVERA: sets of vectors as one vector each, so that inner products suffice.

Fixed-dimensional encodings (Dhulipala et al., arXiv 2405.19504) of the vectors
that late interaction compares. Random hyperplanes cut the space into 2^k parts.
A query's encoding has in each part the sum of its vectors there, a document's
their mean, and where it has none there, the vector whose own part differs in
the fewest hyperplanes. So each vector of a query meets one near it. Within a
part vectors are made shorter by random signs, and all of this is repeated with
other chances. The best by inner product are then ranked exactly.

The projection of the whole encoding to a smaller one, which the paper also
tries, is left out.
"""

import dataclasses
import functools
import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from genret.core.errors import ConfigError

_MOST_HYPERPLANES = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Muvera:
  """Settings of the encodings, and how many candidates they choose.

  Attributes:
    hyperplanes: k; the space has 2^k parts.
    repetitions: R, with other hyperplanes and signs.
    dim: Numbers d of a vector within a part; None keeps all, and draws no
      signs. An encoding has R 2^k d numbers.
    candidates: Documents that are ranked exactly.
    seed: Of hyperplanes and signs.
  """

  hyperplanes: int = 5
  repetitions: int = 20
  dim: int | None = 16
  candidates: int = 500
  seed: int = 0

  def __post_init__(self):
    for name in ("repetitions", "dim", "candidates"):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise ConfigError(f"Muvera.{name} is {value}; expected 1 or more.")
    if not 0 <= self.hyperplanes <= _MOST_HYPERPLANES:
      raise ConfigError(
        f"Muvera.hyperplanes is {self.hyperplanes}; expected 0 to"
        f" {_MOST_HYPERPLANES}: the space has two to that power of parts."
      )

  @property
  def key(self) -> str:
    """A name for encodings of documents of these settings."""
    fields = dataclasses.asdict(self)
    del fields["candidates"]
    text = json.dumps(fields, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

  @property
  def name(self) -> str:
    """Tells searches of other settings apart, in one word."""
    return f"muvera-{self.key}-{self.candidates}"

  def size(self, width: int) -> int:
    """Returns the numbers of an encoding.

    Args:
      width: Of the vectors that are encoded.
    """
    return (self.repetitions << self.hyperplanes) * (self.dim or width)

  def queries(
    self, vectors: Float[np.ndarray, "Q L D"]
  ) -> Float[np.ndarray, "Q F"]:
    """Encodes queries; see `documents`."""
    chances = self._chances(vectors.shape[-1])
    return np.asarray(_encoded(vectors, *chances, fill=False))

  def documents(
    self, vectors: Float[np.ndarray, "M K D"]
  ) -> Float[np.ndarray, "M F"]:
    """Encodes documents.

    Args:
      vectors: Of the tokens of each, zeros for pads.

    Returns:
      Encodings, whose inner products with those of queries estimate the sum
      of each query vector's best cosine, times R.
    """
    chances = self._chances(vectors.shape[-1])
    return np.asarray(_encoded(vectors, *chances, fill=True))

  def _chances(self, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws hyperplanes [R, D, k], and what shortens vectors [R, D, d]."""
    rng = np.random.default_rng(self.seed)
    count = self.repetitions
    planes = rng.normal(size=(count, width, self.hyperplanes))
    if self.dim is None:
      shorten = np.broadcast_to(np.eye(width), (count, width, width))
    else:
      signs = rng.integers(2, size=(count, width, self.dim)) * 2 - 1
      shorten = signs / np.sqrt(self.dim)
    return planes.astype(np.float32), shorten.astype(np.float32)


@functools.partial(jax.jit, static_argnames="fill")
def _encoded(
  vectors: Float[Array, "M K D"],
  planes: Float[Array, "R D k"],
  shorten: Float[Array, "R D d"],
  *,
  fill: bool,
) -> Float[Array, "M F"]:
  present = jnp.any(vectors != 0, axis=-1)  # [M, K]

  def once(chances: tuple[Array, Array]) -> Array:
    planes, shorten = chances
    part = parts(vectors, planes)
    short = jnp.where(present[..., None], vectors @ shorten, 0)  # [M, K, d]
    if fill:
      return _means(short, part, present, num_parts=1 << planes.shape[-1])
    return _sums(short, part, present, num_parts=1 << planes.shape[-1])[0]

  found = jax.lax.map(once, (planes, shorten))  # [R, M, P, d]
  return jnp.moveaxis(found, 0, 1).reshape(len(vectors), -1)


def parts(
  vectors: Float[Array, "*B D"], planes: Float[Array, "D k"]
) -> Int[Array, "*B"]:
  """Returns the part of the space that each vector lies in.

  >>> planes = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> parts(jnp.array([[-1.0, 2.0], [3.0, -1.0], [1.0, 1.0]]), planes).tolist()
  [2, 1, 3]

  Args:
    vectors: Any.
    planes: Normals of the hyperplanes.

  Returns:
    Numbers whose bit i says on which side of hyperplane i a vector lies.
  """
  sides = (vectors @ planes > 0).astype(jnp.int32)
  return sides @ (1 << jnp.arange(planes.shape[-1], dtype=jnp.int32))


def _sums(
  short: Array, part: Array, present: Array, *, num_parts: int
) -> tuple[Float[Array, "M P d"], Float[Array, "M P"]]:
  """Returns the sum of the vectors in each part, and how many they are."""
  inside = jax.nn.one_hot(part, num_parts) * present[..., None]  # [M, K, P]
  return jnp.einsum("mkp,mkd->mpd", inside, short), inside.sum(axis=1)


def _means(
  short: Array, part: Array, present: Array, *, num_parts: int
) -> Float[Array, "M P d"]:
  """Returns the mean of the vectors in each part, or else the nearest one."""
  sums, counts = _sums(short, part, present, num_parts=num_parts)
  apart = jax.lax.population_count(
    part[:, None, :] ^ jnp.arange(num_parts, dtype=part.dtype)[None, :, None]
  )  # [M, P, K]
  apart = jnp.where(present[:, None, :], apart, num_parts)
  nearest = jnp.take_along_axis(
    short, apart.argmin(axis=-1)[..., None], axis=1
  )  # [M, P, d]
  means = sums / jnp.maximum(counts, 1)[..., None]
  return jnp.where(counts[..., None] > 0, means, nearest)
