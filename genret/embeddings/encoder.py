"""Sentence encoders: from texts to unit vectors.

An encoder is any function from texts to a float32 matrix of one unit vector
a text. `minilm` runs all-MiniLM-L6-v2 in JAX, without torch;
`sentence_transformer` runs any model of that library when it is installed.
Both are factories: calling them loads the weights.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from genret.core import text
from genret.core.errors import ConfigError
from genret.embeddings import bert
from genret.embeddings.minilm import PretrainedEncoder, fp32

Encoder = Callable[[Sequence[str]], np.ndarray]
"""texts -> float32 [n, D], rows of length 1, in the order of the texts."""

_LENGTH_STEP = 32
_MAX_BATCH = 32


def minilm(
  *, max_length: int = 256, weights: Callable[[], PretrainedEncoder] = fp32
) -> Encoder:
  """Loads all-MiniLM-L6-v2 (Apache-2.0) from a package, without torch.

  Texts are cut to `max_length` tokens, the two markers included, as the
  model's own configuration does. Rows are sorted by length, padded to
  multiples of 32 tokens and batched by powers of two up to 32, so that a
  long run compiles a few dozen programs at most.

  Args:
    max_length: the most tokens read of a text, 3 to 512.
    weights: `minilm.fp32` as published, or `minilm.int8`, a quarter of the
      download.

  Returns:
    An encoder of 384 dimensions.

  Raises:
    ConfigError: a package is missing, or max_length is out of range.
  """
  if not 3 <= max_length <= 512:
    raise ConfigError(
      f"max_length must be 3 to 512 tokens (the model's positions), not"
      f" {max_length}."
    )
  return _MiniLM(weights(), max_length)


def sentence_transformer(
  name: str, *, max_length: int | None = None
) -> Encoder:
  """Loads a model of the sentence-transformers library.

  Args:
    name: a model's name on the hub or the folder of a saved one.
    max_length: the most tokens read of a text; None: the model's own limit.

  Returns:
    An encoder.

  Raises:
    ConfigError: the library is not installed, or has no such model.
  """
  if importlib.util.find_spec("sentence_transformers") is None:
    raise ConfigError(
      f"the encoder {name!r} needs sentence-transformers, which is not"
      " installed. Run: pip install sentence-transformers   (it brings torch),"
      " or use minilm, which needs none"
    )
  from sentence_transformers import SentenceTransformer

  try:
    model = SentenceTransformer(name)
  except (OSError, ValueError) as error:
    raise ConfigError(
      f"sentence-transformers cannot load {name!r}: {error}"
    ) from error
  if max_length is not None:
    model.max_seq_length = max_length

  def encode(texts: Sequence[str]) -> np.ndarray:
    vectors = model.encode(
      list(texts), normalize_embeddings=True, show_progress_bar=False
    )
    return np.asarray(vectors, np.float32)

  return encode


class _MiniLM:
  """all-MiniLM-L6-v2 with its weights and vocabulary loaded."""

  def __init__(self, weights: PretrainedEncoder, max_length: int):
    self._params = jax.device_put(weights.params)
    self._config = weights.config
    self._max_length = max_length
    self._vocabulary = text.vocabulary("bert_uncased")

  def __call__(self, texts: Sequence[str]) -> np.ndarray:
    """Encodes texts; see `Encoder`."""
    rows = self._vocabulary.encode(texts, max_length=self._max_length)
    vectors = np.zeros((len(rows), self._config.emb_dim), np.float32)
    for members in batches([len(row) for row in rows]):
      tokens = self._padded([rows[i] for i in members])
      out = bert.sentence_vectors(self._params, tokens, config=self._config)
      vectors[members] = np.asarray(out)[: len(members)]
    return vectors

  def _padded(self, rows: list[list[int]]) -> np.ndarray:
    """Pads rows to one of the few shapes that are compiled."""
    longest = max(len(row) for row in rows)
    length = min(-(-longest // _LENGTH_STEP) * _LENGTH_STEP, 512)
    batch = 1 << (len(rows) - 1).bit_length()
    tokens = np.zeros((batch, length), np.int32)
    for i, row in enumerate(rows):
      tokens[i, : len(row)] = row
    return tokens


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
  """Groups rows of similar length, longest first.

  >>> list(batches([5, 40, 7, 90]))
  [[3], [1], [2, 0]]

  Args:
    lengths: tokens in each row.

  Yields:
    Row numbers of one batch: at most 32, all of the same padded length.
  """
  order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
  batch: list[int] = []
  for i in order:
    full = len(batch) == _MAX_BATCH
    if batch and (full or _bucket(lengths[i]) != _bucket(lengths[batch[0]])):
      yield batch
      batch = []
    batch.append(i)
  if batch:
    yield batch


def _bucket(length: int) -> int:
  return -(-length // _LENGTH_STEP)
