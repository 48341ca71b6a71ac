"""Where the time of one search goes, and what the alternatives cost.

Every part runs by itself at the shapes it has within the search, so their sum
is not exactly the whole: inside one program XLA joins some of the work. Each
choice that was made for speed stands beside the plain way of doing the same.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import decoding_docids
import decoding_search
import decoding_selection
import jax
import jax.numpy as jnp
import numpy as np
import reporting

from genret.decoding import forced, selection
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.trie import Trie
from genret.models import layers
from genret.models.sizes import SIZES
from genret.models.stepper import Cache, T5Stepper

NUM_BEAMS = 40
VOCABULARY = 2048
TAIL = 4  # positions of one pass

Calls = Mapping[str, Callable[[], object]]


def checks(
  *, full: bool = False, documents: int | None = None, **_: object
) -> list[reporting.Check]:
  """Times the parts of a search, in milliseconds.

  Args:
    full: whether to take more turns.
    documents: how many there are, instead of 100,000.
  """
  profile = Profile(documents or decoding_search.DOCUMENTS)
  taken = reporting.medians(profile.calls(), repeats=15 if full else 7)
  return [
    reporting.Check(name=f"profile: {name}", figure=1000 * seconds, unit="ms")
    for name, seconds in taken.items()
  ]


class Profile:
  """The parts of one search: T5-small, V = 2,048, 8 queries, 40 beams.

  Args:
    documents: how many residual docids there are.
  """

  def __init__(self, documents: int):
    codes = decoding_docids.residual(documents)
    self.config = dataclasses.replace(
      SIZES["small"],
      docid_vocab_size=VOCABULARY,
      docid_length=codes.shape[1],
    )
    params = decoding_search.random_weights(self.config)
    self.stepper = T5Stepper.create(params, self.config)
    self.apart = jax.device_put(_with_rows(params))
    self.trie = DeviceTrie.place(Trie.build(codes, VOCABULARY))
    random = np.random.default_rng(0)
    shape = decoding_search.QUERIES, decoding_search.TOKENS
    self.inputs = random.integers(3, 32_000, shape, np.int32)
    self.slots = jnp.broadcast_to(
      jnp.arange(NUM_BEAMS), (len(self.inputs), NUM_BEAMS)
    )

  def calls(self) -> Calls:
    """Returns the parts, by name."""
    stepper = self.stepper
    encoded = _encode(stepper, self.inputs)
    cache = _widen(stepper, encoded, self.slots)
    symbols = jnp.full((*self.slots.shape, 1), 7)
    tail = jnp.full((*self.slots.shape, TAIL), 7)
    hidden = jnp.ones((*self.slots.shape, self.config.emb_dim))
    apart = stepper.replace(params=self.apart)
    positions_first = tuple(jnp.swapaxes(x, 2, 3) for x in cache.own[0])
    logits = stepper.logits(hidden, 1)
    beams = _select_root(self.trie, logits[:, :1], len(self.inputs))
    return {
      "encode": lambda: _encode(stepper, self.inputs),
      "start: keys and values of the inputs": lambda: _start(stepper, encoded),
      "first step, one slot": lambda: _first(stepper, encoded),
      "step": lambda: _step(stepper, cache, self.slots, symbols),
      "step, kernels apart": lambda: _step(apart, cache, self.slots, symbols),
      "step, nothing reordered": lambda: _step(stepper, cache, None, symbols),
      "head": lambda: _head(stepper, hidden),
      "selection, log-sum-exp with it": lambda: _select(
        self.trie, logits, beams, 1, NUM_BEAMS
      ),
      f"{TAIL} forced symbols, one pass": lambda: _tail(
        stepper, cache, self.slots, tail
      ),
      f"{TAIL} forced symbols, {TAIL} steps": lambda: _tail_by_steps(
        stepper, cache, self.slots, tail
      ),
      "attention over the cache, heads first": lambda: _attend(
        hidden, cache.own[0]
      ),
      "attention over the cache, positions first": lambda: (
        _attend_positions_first(hidden, positions_first)
      ),
      "whole search": lambda: decoding_search.search(
        stepper, self.trie, self.inputs, num_beams=NUM_BEAMS, scoring="raw"
      ),
    }


def _with_rows(params: Mapping) -> dict:
  """Leaves the kernels apart, and lays out the head as a stepper wants it."""
  decoder = dict(params["decoder"])
  decoder["logits_dense"] = {"rows": decoder["logits_dense"]["kernel"].T}
  return {**params, "decoder": decoder}


_encode = jax.jit(T5Stepper.encode)
_start = jax.jit(T5Stepper.start)
_select = jax.jit(decoding_selection.select, static_argnums=(3, 4))
_head = jax.jit(lambda stepper, hidden: stepper.logits(hidden, 1))


@jax.jit
def _first(stepper: T5Stepper, encoded: object) -> object:
  bos = jnp.zeros((len(encoded.states), 1, 1), jnp.int32)
  return stepper.step(stepper.start(encoded), None, bos, 0)


@jax.jit
def _widen(stepper: T5Stepper, encoded: object, slots: jax.Array) -> Cache:
  zeros = jnp.zeros_like(slots)
  _, cache = stepper.step(stepper.start(encoded), zeros, zeros[..., None], 0)
  return cache


@jax.jit
def _step(
  stepper: T5Stepper, cache: Cache, parents: jax.Array, symbols: jax.Array
) -> object:
  return stepper.step(cache, parents, symbols, 3)


@jax.jit
def _tail(
  stepper: T5Stepper, cache: Cache, parents: jax.Array, symbols: jax.Array
) -> jax.Array:
  hidden, _ = stepper.step(cache, parents, symbols, 3)
  return forced.log_probabilities(stepper, hidden, symbols, t=3)


@jax.jit
def _tail_by_steps(
  stepper: T5Stepper, cache: Cache, parents: jax.Array, symbols: jax.Array
) -> jax.Array:
  def step(cache: Cache, place: tuple[jax.Array, jax.Array]):
    t, symbol = place
    hidden, cache = stepper.step(cache, parents, symbol[..., None], t)
    gain = forced.log_probabilities(stepper, hidden, symbol[..., None], t=t)
    return cache, gain

  places = 3 + jnp.arange(TAIL), jnp.moveaxis(symbols, 2, 0)
  return jax.lax.scan(step, cache, places)[1].sum(axis=0)


@functools.partial(jax.jit, static_argnums=2)
def _select_root(
  trie: DeviceTrie, logits: jax.Array, num_queries: int
) -> selection.Frontier:
  root = selection.root(trie, num_queries)
  return decoding_selection.select(trie, logits, root, 0, NUM_BEAMS)


def _queries(hidden: jax.Array, heads: int) -> jax.Array:
  width = heads * 64
  return layers.split_heads(hidden[..., None, :width], heads)


@jax.jit
def _attend(hidden: jax.Array, own: layers.KeysValues) -> jax.Array:
  keys, values = own  # [B, K, H, T, Dh]
  queries = _queries(hidden, keys.shape[2])
  scores = jnp.einsum("bkhqd,bkhtd->bkhqt", queries, keys)
  return jax.nn.softmax(scores) @ values


@jax.jit
def _attend_positions_first(
  hidden: jax.Array, own: layers.KeysValues
) -> jax.Array:
  keys, values = own  # [B, K, T, H, Dh]
  queries = _queries(hidden, keys.shape[3])
  scores = jnp.einsum("bkhqd,bkthd->bkhqt", queries, keys)
  return jnp.einsum("bkhqt,bkthd->bkhqd", jax.nn.softmax(scores), values)
