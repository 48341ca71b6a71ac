"""A toy decoder whose logits depend on the query and the whole prefix."""

import dataclasses
from types import SimpleNamespace

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.decoding.beam_search import beam_search
from genret.decoding.device_trie import DeviceTrie, Level
from genret.decoding.exhaustive import exhaustive

HEAD_PADDING = 2
LENGTH = 6
VOCAB_SIZE = 8
NUM_QUERIES = 2


@flax.struct.dataclass(kw_only=True)
class ToyDecoder:
  """hidden_t = tanh(query + position_t + sum_{i<=t} mix_{t-i} * input_i).

  Its cache has a leaf of the query, [B, D], and a leaf of the slots,
  [B, K, T, D], which is wrong for ever after one wrong reordering.
  """

  embedding: jax.Array  # [V, D]
  position: jax.Array  # [T, D]
  mix: jax.Array  # [T, D]
  head: jax.Array  # [D, V]

  def start(self, encoded):
    query = encoded["query"]
    slots = (len(query), 1, *self.position.shape)
    return {"query": query, "inputs": jnp.zeros(slots)}

  def step(self, cache, parents, symbols, t):
    inputs = cache["inputs"]
    if parents is not None:
      inputs = jnp.take_along_axis(inputs, parents[:, :, None, None], axis=1)
    read = symbols.shape[-1]
    inputs = jax.lax.dynamic_update_slice_in_dim(
      inputs, self.embedding[symbols], t, axis=2
    )
    at = t + jnp.arange(read)
    lag = at[:, None] - jnp.arange(len(self.mix))  # [S, T]
    mix = jnp.where(lag[..., None] >= 0, self.mix[lag], 0)  # [S, T, D]
    mixed = jnp.einsum("bkid,tid->bktd", inputs, mix)
    query = cache["query"][:, None, None]
    hidden = jnp.tanh(query + self.position[at] + mixed)
    return hidden, {"query": cache["query"], "inputs": inputs}

  def logits(self, hidden, t):
    padding = [(0, 0), (0, 0), (0, HEAD_PADDING)]
    return jnp.pad(hidden @ self.head, padding, constant_values=-1e9)

  def logits_at(self, hidden, t, candidates):
    columns = self.head.T[candidates]  # [B, K, W, D]
    return jnp.einsum("bkd,bkwd->bkw", hidden, columns)

  def logits_between(self, hidden, first, *, width):
    head = jax.lax.dynamic_slice_in_dim(self.head, first, width, axis=1)
    return hidden @ head

  def prefix_logits(self, query, prefixes):
    """Logits after prefixes of one length, by the definition, in float64."""
    embedding, position, mix, head = (
      np.asarray(leaf, np.float64)
      for leaf in (self.embedding, self.position, self.mix, self.head)
    )
    t = len(prefixes[0])
    symbols = np.array([(0, *prefix) for prefix in prefixes])
    mixed = sum(mix[t - i] * embedding[symbols[:, i]] for i in range(t + 1))
    return np.tanh(np.asarray(query) + position[t] + mixed) @ head


@flax.struct.dataclass(kw_only=True)
class Chain:
  """The next symbol depends on the last alone; says when it is asked."""

  table: jax.Array  # [V, V]
  asked: object = flax.struct.field(pytree_node=False, default=None)

  def start(self, encoded):
    return ()

  def step(self, cache, parents, symbols, t):
    if self.asked:
      jax.debug.callback(self.asked, t)
    return jnp.log(self.table[symbols]), cache

  def logits(self, hidden, t):
    return hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slow:
  """What the slow search found, and how clear its decisions were."""

  ranking: list  # (docid, score), best first; equal scores in docid order
  margin: float  # least score between a prefix kept and one dropped


def slow_search(decoder, query, docids, *, num_beams, scoring="raw"):
  """Beam search over a dict of prefixes, in NumPy, one query at a time."""
  docids = set(docids)
  following = {}
  for docid in docids:
    for t, symbol in enumerate(docid):
      following.setdefault(docid[:t], set()).add(symbol)
  beams, margin = [((), 0.0)], np.inf
  for _ in range(max(map(len, docids))):
    candidates = [beam for beam in beams if beam[0] in docids]
    growing = [beam for beam in beams if beam[0] not in docids]
    if growing:
      logits = decoder.prefix_logits(query, [prefix for prefix, _ in growing])
      for (prefix, score), row in zip(growing, logits, strict=True):
        allowed = sorted(following[prefix])
        among = row[allowed] if scoring == "renormalised" else row
        total = np.log(np.exp(among).sum())
        candidates += [((*prefix, s), score + row[s] - total) for s in allowed]
    candidates.sort(key=lambda beam: (-beam[1], beam[0]))
    beams, dropped = candidates[:num_beams], candidates[num_beams:]
    if dropped:
      margin = min(margin, beams[-1][1] - dropped[0][1])
  return Slow(ranking=beams, margin=margin)


def toy_decoder(*, vocab_size=VOCAB_SIZE, length=LENGTH, dim=5, seed=0):
  rng = np.random.default_rng(seed)

  def leaf(*shape):
    return jnp.asarray(rng.normal(size=shape), jnp.float32)

  return ToyDecoder(
    embedding=leaf(vocab_size, dim),
    position=leaf(length, dim),
    mix=leaf(length, dim),
    head=leaf(dim, vocab_size),
  )


def queries(num=NUM_QUERIES, *, dim=5, seed=0):
  rng = np.random.default_rng(seed)
  return {"query": jnp.asarray(rng.normal(size=(num, dim)), jnp.float32)}


def place(trie):
  """Places the small tries of these tests in one shape, to compile once."""
  placed = DeviceTrie.place(trie, round_up=lambda size: 2048)
  widest = Level.bound(np.full(2048, VOCAB_SIZE), prefixes=2048)
  return placed.replace(levels=(widest,) * LENGTH)


def on_host(function, *static):
  """Jits a search, and brings what it found to the host."""
  jitted = jax.jit(function, static_argnames=static)

  def search(*args, **kwargs):
    return jax.device_get(jitted(*args, **kwargs))

  search.cache_size = jitted._cache_size
  return search


@pytest.fixture(scope="session")
def toy():
  """The toy decoder, its queries, and the jitted searches."""
  return SimpleNamespace(
    chain=Chain,
    decoder=toy_decoder,
    queries=queries,
    slow_search=slow_search,
    place=place,
    search=on_host(beam_search, "num_beams", "scoring"),
    exhaustive=on_host(exhaustive, "chunk"),
  )
