"""Bytes that a search takes on a device, counted before there is one."""

import dataclasses
import math
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from genret.core.docid_table import FIRST_SYMBOL
from genret.core.errors import ConfigError
from genret.decoding import atomic, device_trie
from genret.decoding.top_k import BLOCK
from genret.models import pawa
from genret.models.sizes import T5Config

FLOAT32 = INT32 = 4
LOADING = "copy while loading"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DocidShape:
  """How many docids there are, and what of.

  Attributes:
    num_documents: N; documents are taken to have a docid each.
    length: T, EOS counted; 1 is atomic.
    vocab_size: V, symbols of an own vocabulary, pad and EOS included. None:
      of atomic docids as many as documents, and the two; else docids are text.
    level_sizes: of docids whose positions have symbols of their own, how many
      each has; V is then their sum and the two.
  """

  num_documents: int
  length: int
  vocab_size: int | None = None
  level_sizes: tuple[int, ...] | None = None

  def __post_init__(self):
    if self.level_sizes is not None:
      self._check_levels()
    if self.num_documents < 1 or self.length < 1:
      raise ConfigError(
        f"{self.num_documents} documents with docids of {self.length} symbols;"
        " both must be 1 or more."
      )
    least = FIRST_SYMBOL + _least_symbols(self.num_documents, self.length)
    if self.vocab_size is not None and self.vocab_size < least:
      raise ConfigError(
        f"{self.num_documents:,} documents need docids of {self.length}"
        f" symbols out of {least:,} or more, pad and EOS included; vocab_size"
        f" is {self.vocab_size:,}. Give longer docids or more symbols."
      )

  def _check_levels(self) -> None:
    sizes, total = tuple(self.level_sizes), FIRST_SYMBOL + sum(self.level_sizes)
    if len(sizes) != self.length or self.vocab_size not in (None, total):
      raise ConfigError(
        f"level_sizes {sizes} are of docids of {len(sizes)} symbols out of"
        f" {total:,}; length is {self.length} and vocab_size"
        f" {self.vocab_size}. Give one size a position, and no vocab_size."
      )
    if self.num_documents > math.prod(sizes):
      raise ConfigError(
        f"level_sizes {sizes} make {math.prod(sizes):,} docids, and there are"
        f" {self.num_documents:,} documents. Give longer docids or"
        " more symbols."
      )
    object.__setattr__(self, "level_sizes", sizes)
    object.__setattr__(self, "vocab_size", total)

  @property
  def level_starts(self) -> tuple[int, ...] | None:
    """First symbol of each level; None where levels share symbols."""
    if self.level_sizes is None:
      return None
    return tuple(np.cumsum([FIRST_SYMBOL, *self.level_sizes[:-1]]).tolist())

  @property
  def symbols(self) -> int | None:
    """V of an own vocabulary; None for docids of text."""
    if self.vocab_size is None and self.length == 1:
      return self.num_documents + FIRST_SYMBOL
    return self.vocab_size

  def model(self, config: T5Config) -> T5Config:
    """Returns the model that writes such docids."""
    return dataclasses.replace(
      config,
      docid_vocab_size=self.symbols,
      docid_length=self.length,
      level_starts=self.level_starts,
    )


def trie_bytes(docids: DocidShape, vocab_size: int) -> int:
  """Counts the bytes of the docids on a device.

  Of atomic docids a mark for each symbol, a block more a chunk at most, and
  the symbols. Of longer ones the arrays of `DeviceTrie`: the rows, N x T
  symbols, and the edges of the nodes. Edges are those of docids spread as
  evenly as can be, each node leading to the T-th root of N; those of random
  docids are more, and the whole a tenth larger.

  Args:
    docids: How many, and how long.
    vocab_size: V, which decides the bytes of a symbol.
  """
  count = device_trie.round_up(docids.num_documents)
  if docids.length == 1:
    chunks = -(-vocab_size // atomic.CHUNK)
    return vocab_size + chunks * BLOCK + INT32 * count
  size = 2 if vocab_size <= 1 << 16 else INT32
  nodes = _nodes(docids.num_documents, docids.length)
  edges = device_trie.round_up(docids.num_documents + nodes - 1)
  pointers = device_trie.round_up(nodes + 1)
  return (
    count * docids.length * size + edges * (size + INT32) + pointers * INT32
  )


def search_bytes(
  config: T5Config,
  *,
  queries: int,
  input_length: int,
  num_beams: int,
  ways: int = 1,
) -> dict[str, int]:
  """Counts the bytes of a search's arrays on one device.

  Heads, hidden units and symbols are split over the model axis where it
  divides them, as in training.

  Args:
    config: Of the model, with docid_length T.
    queries: B, searched together by one device.
    input_length: L, tokens of a query.
    num_beams: K.
    ways: Devices along the model axis.

  Returns:
    Bytes of "query keys and values" (the cross-attention's cache), "beam
    keys and values" (the decoder's own, twice while they follow their beams),
    "encoder at work" and "logits"; with a prefix-aware head also "prefix keys
    and values" (the adaptor's own) and "prefix-aware head".
  """
  size = jnp.dtype(config.dtype).itemsize
  heads = _divided(config.num_heads, ways)
  joined = heads * config.head_dim
  keys_values = 2 * config.num_decoder_layers * queries * joined * size
  slots = num_beams if config.docid_length > 1 else 1
  layer = (
    size * (3 * config.emb_dim + 4 * joined)
    + 3 * size * _divided(config.mlp_dim, ways)
    + heads * input_length * (2 * FLOAT32 + size)
  )
  columns = _divided(config.head_width, ways)
  if config.docid_length == 1:
    columns = min(atomic.CHUNK, columns)
  counts = {
    "query keys and values": keys_values * input_length,
    "beam keys and values": 2 * keys_values * slots * config.docid_length,
    "encoder at work": queries * input_length * layer,
    "logits": 2 * FLOAT32 * queries * slots * columns,
  }
  if config.pawa is None:
    return counts
  return counts | _prefix_aware(config, slots=queries * slots, ways=ways)


def _prefix_aware(config: T5Config, *, slots: int, ways: int) -> dict[str, int]:
  """Counts what the adaptor keeps, twice as beams do, and the head's work."""
  size, shape = jnp.dtype(config.dtype).itemsize, config.adaptor
  joined = _divided(shape.num_heads, ways) * shape.head_dim
  keys_values = 2 * shape.num_decoder_layers * joined * size
  wide, most = _divided(config.emb_dim, ways), max(config.level_sizes)
  together = pawa.at_a_time(slots * config.emb_dim, most)
  return {
    "prefix keys and values": 2 * keys_values * slots * config.docid_length,
    "prefix-aware head": FLOAT32 * slots * wide * together,
  }


def peak(parts: Mapping[str, int]) -> int:
  """Returns the bytes of searching at its most.

  When weights are laid out for searching some stand there twice for a moment;
  nothing is searched yet.

  >>> peak({"weights": 4, "docids": 1, "logits": 2, LOADING: 3})
  8

  Args:
    parts: "weights", "docids", LOADING and what `search_bytes` counts.
  """
  held = parts["weights"] + parts["docids"]
  searching = sum(parts.values()) - held - parts[LOADING]
  return held + max(parts[LOADING], searching)


def _least_symbols(num_documents: int, length: int) -> int:
  """Returns the fewest symbols of which so many docids can be made.

  >>> _least_symbols(1000, 3), _least_symbols(1001, 3)
  (10, 11)
  """
  guess = max(1, round(num_documents ** (1 / length)) - 1)
  while guess**length < num_documents:
    guess += 1
  return guess


def _nodes(num_documents: int, length: int) -> int:
  """Counts the prefixes that two or more of evenly spread docids share."""
  branching = num_documents ** (1 / length)
  return int(np.sum(branching ** np.arange(length)))


def _divided(size: int, ways: int) -> int:
  return size // ways if size % ways == 0 else size
