"""Random sequences of any symbols: drawn from a decoder, without a trie.

All samples of a query share the encoder's output and the first step; from the
second step on each is a slot of its own, and what has ended leaves its slot
once few enough are left. Jit it with the decoder as an argument and the
numbers static:

  draw = jax.jit(sample, static_argnames=STATIC)
"""

import dataclasses
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, Key

from genret.core.docid_table import EOS, PAD
from genret.core.errors import UserError
from genret.decoding import top_k as top_k_lib
from genret.decoding.decoder import Decoder, Encoded
from genret.decoding.loop import Choose, go_on, walk

STATIC = ("num_samples", "length", "temperature", "top_k", "special")
"""What `sample` is compiled for."""

# The columns by which a head is padded have logits of -1e9 or so; a higher
# temperature would lift them among the symbols.
HOTTEST = 1e6

# Stands for the greatest logit where all but that of the pad are -inf, so that
# nothing becomes nan; the pad is then written, and the sample ends.
_LEAST = float(jnp.finfo(jnp.float32).min)

_FEWEST = 8  # slots; a program for fewer saves less than compiling it takes
_HALVINGS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Special:
  """Symbols that are not as the others.

  Attributes:
    end: ends a sample. None: all have T symbols.
    never: few symbols that are not drawn, as pad is not, though they keep
      their share of what log-probabilities are of.
  """

  end: int | None = EOS
  never: tuple[int, ...] = ()


@flax.struct.dataclass(kw_only=True)
class Samples:
  """K independent samples for each of B queries, in no order.

  Attributes:
    symbols: the end included; 0 after it.
    log_probabilities: of all the symbols of a sample, the end included, by
      the model itself: among all V symbols, whatever the temperature and
      top_k they were drawn with.
  """

  symbols: Int[Array, "B K T"]
  log_probabilities: Float[Array, "B K"]


@flax.struct.dataclass(kw_only=True)
class _Drawn:
  """What is drawn so far: the S slots of the loop, and all K samples."""

  parents: Int[Array, "B S"] | None
  symbols: Int[Array, "B S"]
  finished: Bool[Array, "B S"]
  places: Int[Array, "B S"]  # which sample each slot draws
  samples: Samples


def sample(
  decoder: Decoder,
  encoded: Encoded,
  keys: Key[Array, "B"],
  *,
  num_samples: int,
  length: int,
  temperature: float = 1.0,
  top_k: int | None = None,
  special: Special = Special(),
) -> Samples:
  """Draws sequences from a decoder, symbol by symbol.

  A symbol has the probability that the model gives it at this temperature
  among the `top_k` likeliest. Pad (0) is never drawn. The samples of a query
  follow from its key and the numbers here; what else is in the batch changes
  them only where it changes the last bits of the decoder's logits.

  Once no query of the batch has more than half of its samples left to write,
  the slots are halved, and once more: what has ended is not read on.

  `top_k` keeps the symbols that `TopKLogitsWarper` of `transformers` keeps,
  but for two cases: pad is not among them, and of symbols with exactly the
  logit of the k-th the smaller are kept, where `transformers` keeps them all.

  Args:
    decoder: the model; a pytree. Its cache has room for `length` symbols.
    encoded: the encoder's output for B queries, batch first in every leaf.
    keys: one for each query. Position t is drawn with `fold_in(key, t)`.
    num_samples: K, static.
    length: T, static; a sample that has not ended by then is cut off.
    temperature: static, at most 1e6; the logits are divided by it.
    top_k: static; None, or more than there are: all symbols.
    special: static; which symbol ends a sample, and which are never drawn.

  Raises:
    UserError: a number out of its range, or not one key for each query.
  """
  ends = special.end is not None
  batch = len(jax.tree.leaves(encoded)[0])
  _check(temperature, num_samples=num_samples, length=length, top_k=top_k)
  _check_keys(keys, batch)

  def choose(hidden: Array, drawn: _Drawn, t: int | Array) -> _Drawn:
    symbols, gains = _draw(
      _Noise(
        keys=jax.vmap(jax.random.fold_in, (0, None))(keys, t),
        places=drawn.places,
        num_samples=num_samples,
      ),
      decoder.logits(hidden, t),
      temperature=temperature,
      top_k=top_k,
      never=(PAD, *special.never),
    )
    first = drawn.symbols.shape != symbols.shape
    drawn = _extended(
      drawn, symbols, gains, t=t, end=special.end if ends else PAD
    )
    # The one slot becomes all; from then on each continues itself.
    return drawn.replace(parents=jnp.zeros_like(symbols)) if first else drawn

  root = _root(batch, num_samples=num_samples, length=length)
  sizes = [num_samples, *(_halved(num_samples) if ends else ())]
  return _walked(
    decoder, encoded, root, choose=choose, sizes=sizes, length=length
  ).samples


def _walked(
  decoder: Decoder,
  encoded: Encoded,
  drawn: _Drawn,
  *,
  choose: Choose,
  sizes: list[int],
  length: int,
) -> _Drawn:
  """Walks with all slots, and then with fewer and fewer."""
  t, cache, drawn = walk(
    decoder,
    encoded,
    drawn,
    choose=choose,
    more=lambda drawn: _more(drawn, fewest=sizes[1:2]),
    unrolled=min(2, length),
    length=length,
  )
  for number, size in enumerate(sizes[1:], start=2):
    if length > 2:
      t, cache, drawn = go_on(
        decoder,
        (t, cache, _narrowed(drawn, size, ended=t >= length)),
        choose=choose,
        more=lambda drawn, to=number: _more(drawn, fewest=sizes[to : to + 1]),
        length=length,
      )
  return drawn


def _halved(slots: int) -> list[int]:
  """Returns the numbers of slots that a sample goes on with, greatest first.

  >>> _halved(40), _halved(16), _halved(9)
  ([20, 10], [8], [])
  """
  halves = [-(-slots >> power) for power in range(1, _HALVINGS + 1)]
  return [size for size in halves if size >= _FEWEST]


def _more(drawn: _Drawn, *, fewest: list[int]) -> Bool[Array, ""]:
  """Says whether some query needs more slots than the fewest to come."""
  return (~drawn.finished).sum(axis=-1).max() > sum(fewest)


def _narrowed(drawn: _Drawn, size: int, *, ended: Bool[Array, ""]) -> _Drawn:
  """Keeps as few slots of each query, those that are not finished first."""
  slots = jnp.argsort(drawn.finished, axis=-1, stable=True)[:, :size]

  def kept(some: Array) -> Array:
    return jnp.take_along_axis(some, slots, axis=-1)

  return drawn.replace(
    parents=slots,
    symbols=kept(drawn.symbols),
    finished=kept(drawn.finished) | ended,
    places=kept(drawn.places),
  )


def _check(
  temperature: float, *, num_samples: int, length: int, top_k: int | None
) -> None:
  """Refuses numbers out of range."""
  if not 0 < temperature <= HOTTEST:
    raise UserError(
      f"temperature must be above 0 and at most {HOTTEST:g}, got"
      f" {temperature}; top_k=1 takes the likeliest symbol"
    )
  counts = {"num_samples": num_samples, "length": length}
  if top_k is not None:
    counts["top_k"] = top_k
  for name, count in counts.items():
    if count < 1:
      raise UserError(f"{name} must be at least 1, got {count}")


def _check_keys(keys: Key[Array, "B"], batch: int) -> None:
  """Refuses one key for all queries, and too many."""
  if keys.shape[:1] != (batch,):
    raise UserError(
      f"expected one key for each of the {batch} queries, got keys of shape"
      f" {keys.shape}; make them by jax.random.split(key, {batch})"
    )


def _root(batch: int, *, num_samples: int, length: int) -> _Drawn:
  """Starts every query with one slot, and its samples empty."""
  shape = batch, num_samples
  return _Drawn(
    parents=None,
    symbols=jnp.zeros((batch, 1), jnp.int32),
    finished=jnp.zeros(shape, bool),
    places=jnp.broadcast_to(jnp.arange(num_samples), shape),
    samples=Samples(
      symbols=jnp.zeros((*shape, length), jnp.int32),
      log_probabilities=jnp.zeros(shape, jnp.float32),
    ),
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Noise:
  """What the draws of one position are made of.

  A sample has its own noise, whichever slot it is in.

  Attributes:
    keys: of the queries at this position.
    places: of the samples that are drawn, as many as slots or, from one slot,
      all of them.
    num_samples: K.
  """

  keys: Key[Array, "B"]
  places: Int[Array, "B S"]
  num_samples: int

  def split(self) -> list[Self]:
    """Returns two, for two draws."""
    pair = jax.vmap(jax.random.split, out_axes=1)(self.keys)
    return [dataclasses.replace(self, keys=keys) for keys in pair]

  def choose(self, logits: Float[Array, "B S W"]) -> Int[Array, "B S num"]:
    """Draws from every slot, as many as there are samples of it."""

    def draw(key: Array, places: Array, logits: Array) -> Array:
      shape = self.num_samples, logits.shape[-1]
      noise = jax.random.gumbel(key, shape)[places]
      noise = noise.reshape(len(logits), -1, logits.shape[-1])
      return jnp.argmax(noise + logits[:, None], axis=-1)  # [S, num]

    return jax.vmap(draw)(self.keys, self.places, logits)


def _draw(
  noise: _Noise,
  logits: Float[Array, "B S V"],
  *,
  temperature: float,
  top_k: int | None,
  never: tuple[int, ...],
) -> tuple[Int[Array, "B K"], Float[Array, "B K"]]:
  """Draws a symbol for every sample; also their log-probabilities."""
  if top_k is None:
    symbols = _from_all(noise, logits, temperature=temperature, never=never)
  else:
    values, among = best(logits, top_k, never=never)
    values -= values.max(axis=-1, keepdims=True, initial=_LEAST)
    place = noise.choose(values / temperature)
    symbols = jnp.take_along_axis(among, place, axis=-1)
  gains = jnp.take_along_axis(logits, symbols, axis=-1)  # [B, S, num]
  gains -= jax.nn.logsumexp(logits, axis=-1, keepdims=True)
  shape = noise.places.shape
  return symbols.reshape(shape), gains.reshape(shape)


def _extended(
  drawn: _Drawn,
  symbols: Int[Array, "B K"],
  gains: Float[Array, "B K"],
  *,
  t: int | Int[Array, ""],
  end: int,
) -> _Drawn:
  """Writes the symbols where a sample is not finished."""
  symbols = jnp.where(drawn.finished, PAD, symbols)
  gains = jnp.where(symbols == PAD, 0.0, gains)
  before = drawn.samples
  at = jnp.arange(len(symbols))[:, None], drawn.places
  return drawn.replace(
    parents=None,
    symbols=symbols,
    finished=(symbols == PAD) | (symbols == end),
    samples=Samples(
      symbols=before.symbols.at[*at, t].set(symbols),
      log_probabilities=before.log_probabilities.at[at].add(gains),
    ),
  )


def best(
  logits: Float[Array, "B S V"], k: int, *, never: tuple[int, ...] = (PAD,)
) -> tuple[Float[Array, "B S W"], Int[Array, "B S W"]]:
  """Finds the k likeliest symbols of each slot, some left out.

  Returns:
    Their logits and the symbols, likeliest first and of equal ones the
    smaller. W is k and one place for each that is left out, in case it is
    among them, or V if that is less. Places that are not needed are at -inf.
  """
  batch, slots, vocab_size = logits.shape
  parts = top_k_lib.blocks(logits)
  values, symbols = top_k_lib.top_k(
    parts.reshape(-1, *parts.shape[2:]), min(k + len(never), vocab_size)
  )
  # Cheaper than to mask these among all V, which would copy them.
  real = ~jnp.isin(symbols, jnp.array(never))
  kept = real & (jnp.cumsum(real, axis=-1) <= k)
  values = jnp.where(kept, values, -jnp.inf)
  return values.reshape(batch, slots, -1), symbols.reshape(batch, slots, -1)


def _from_all(
  noise: _Noise,
  logits: Float[Array, "B S V"],
  *,
  temperature: float,
  never: tuple[int, ...],
) -> Int[Array, "B S num"]:
  """Draws from all symbols but some: first a block, then a symbol in it.

  The same distribution as one draw from V, for G + W random numbers instead
  of V of them, which a CPU takes longer to make than a small model its logits.
  """
  parts = top_k_lib.blocks(logits)  # [B, S, G, W]
  places = jnp.arange(parts.shape[2] * top_k_lib.BLOCK)
  left_out = jnp.isin(places, jnp.array(never)).reshape(parts.shape[2:])
  parts = jnp.where(left_out, -jnp.inf, parts)
  greatest = parts.max(axis=(2, 3), initial=_LEAST)[..., None, None]
  # At most 1, of which some is: no temperature is too low.
  totals = jnp.exp((parts - greatest) / temperature).sum(axis=-1)
  first, second = noise.split()
  block = first.choose(jnp.log(totals))[..., None]
  chosen = jnp.take_along_axis(parts, block, axis=2)  # [B, S, num, W]
  chosen = (chosen - greatest) / temperature
  chosen = chosen.reshape(len(chosen), -1, top_k_lib.BLOCK)
  place = second.choose(chosen).reshape(block.shape)
  return (block * top_k_lib.BLOCK + place)[..., 0]
