"""Random sequences of any symbols: drawn from a decoder, without a trie.

All samples of a query share the encoder's output and the first step; from the
second step on each is a slot of its own. Jit it with the decoder as an
argument and the numbers static:

  draw = jax.jit(
    sample,
    static_argnames=("num_samples", "length", "temperature", "top_k", "end"),
  )
"""

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, Key

from genret.core.docid_table import EOS, PAD
from genret.core.errors import UserError
from genret.decoding import top_k as top_k_lib
from genret.decoding.decoder import Decoder, Encoded
from genret.decoding.loop import walk

# The columns by which a head is padded have logits of -1e9 or so; a higher
# temperature would lift them among the symbols.
HOTTEST = 1e6

# Stands for the greatest logit where all but that of the pad are -inf, so that
# nothing becomes nan; the pad is then written, and the sample ends.
_LEAST = float(jnp.finfo(jnp.float32).min)


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
  """What is drawn so far: the slots of the loop."""

  parents: Int[Array, "B K"] | None
  symbols: Int[Array, "B K"]
  finished: Bool[Array, "B K"]
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
  end: int | None = EOS,
) -> Samples:
  """Draws sequences from a decoder, symbol by symbol.

  A symbol has the probability that the model gives it at this temperature
  among the `top_k` likeliest. Pad (0) is never drawn. The samples of a query
  follow from its key and the numbers here; what else is in the batch changes
  them only where it changes the last bits of the decoder's logits.

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
    end: static; the symbol that ends a sample. None: all have T symbols.

  Raises:
    UserError: a number out of its range, or not one key for each query.
  """
  end = PAD if end is None else end
  batch = len(jax.tree.leaves(encoded)[0])
  _check(temperature, num_samples=num_samples, length=length, top_k=top_k)
  _check_keys(keys, batch)

  def choose(hidden: Array, drawn: _Drawn, t: int | Array) -> _Drawn:
    logits = decoder.logits(hidden, t)  # [B, S, V]
    symbols, gains = _draw(
      jax.vmap(jax.random.fold_in, (0, None))(keys, t),
      logits,
      num=num_samples // logits.shape[1],  # all of them, in the first step
      temperature=temperature,
      top_k=top_k,
    )
    drawn = _extended(drawn, symbols, gains, t=t, end=end)
    if logits.shape[1] < num_samples:
      # The one slot becomes all; from then on each continues itself.
      drawn = drawn.replace(parents=jnp.zeros_like(symbols))
    return drawn

  _, _, drawn = walk(
    decoder,
    encoded,
    _root(batch, num_samples=num_samples, length=length),
    choose=choose,
    more=lambda drawn: ~drawn.finished.all(),
    unrolled=min(2, length),
    length=length,
  )
  return drawn.samples


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
    samples=Samples(
      symbols=jnp.zeros((*shape, length), jnp.int32),
      log_probabilities=jnp.zeros(shape, jnp.float32),
    ),
  )


def _draw(
  keys: Key[Array, "B"],
  logits: Float[Array, "B S V"],
  *,
  num: int,
  temperature: float,
  top_k: int | None,
) -> tuple[Int[Array, "B K"], Float[Array, "B K"]]:
  """Draws `num` symbols for every slot; also their log-probabilities."""
  if top_k is None:
    symbols = _from_all(keys, logits, num=num, temperature=temperature)
  else:
    values, among = best(logits, top_k)
    values -= values.max(axis=-1, keepdims=True, initial=_LEAST)
    place = _categorical(keys, values / temperature, num)
    symbols = jnp.take_along_axis(among, place, axis=-1)
  gains = jnp.take_along_axis(logits, symbols, axis=-1)  # [B, S, num]
  gains -= jax.nn.logsumexp(logits, axis=-1, keepdims=True)
  return symbols.reshape(len(keys), -1), gains.reshape(len(keys), -1)


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
  return _Drawn(
    parents=None,
    symbols=symbols,
    finished=(symbols == PAD) | (symbols == end),
    samples=Samples(
      symbols=before.symbols.at[..., t].set(symbols),
      log_probabilities=before.log_probabilities + gains,
    ),
  )


def best(
  logits: Float[Array, "B S V"], k: int
) -> tuple[Float[Array, "B S W"], Int[Array, "B S W"]]:
  """Finds the k likeliest symbols of each slot, pad left out.

  Returns:
    Their logits and the symbols, likeliest first and of equal ones the
    smaller. W is k + 1, or V if that is less: one place is in case of the
    pad. Places that are not needed are at -inf.
  """
  batch, slots, vocab_size = logits.shape
  parts = top_k_lib.blocks(logits)
  values, symbols = top_k_lib.top_k(
    parts.reshape(-1, *parts.shape[2:]), min(k + 1, vocab_size)
  )
  # Cheaper than to mask the pad among all V, which would copy them.
  real = symbols != PAD
  kept = real & (jnp.cumsum(real, axis=-1) <= k)
  values = jnp.where(kept, values, -jnp.inf)
  return values.reshape(batch, slots, -1), symbols.reshape(batch, slots, -1)


def _from_all(
  keys: Key[Array, "B"],
  logits: Float[Array, "B S V"],
  *,
  num: int,
  temperature: float,
) -> Int[Array, "B S num"]:
  """Draws from all symbols but pad: first a block, then a symbol in it.

  The same distribution as one draw from V, for G + W random numbers instead
  of V of them, which a CPU takes longer to make than a small model its logits.
  """
  parts = top_k_lib.blocks(logits)  # [B, S, G, W]
  first = parts[:, :, 0, PAD + 1 :]
  greatest = parts.max(axis=-1).at[:, :, 0].set(first.max(axis=-1))
  greatest = greatest.max(axis=-1, initial=_LEAST)[..., None, None]

  def weights(some: Array) -> Array:
    # At most 1, of which some is: no temperature is too low.
    return jnp.exp((some - greatest) / temperature)

  totals = weights(parts).sum(axis=-1)
  totals = totals.at[:, :, 0].set(weights(first[:, :, None]).sum(axis=(2, 3)))
  pair = jax.vmap(jax.random.split, out_axes=1)(keys)
  block = _categorical(pair[0], jnp.log(totals), num)[..., None]
  chosen = jnp.take_along_axis(parts, block, axis=2)  # [B, S, num, W]
  symbols = block * top_k_lib.BLOCK + jnp.arange(top_k_lib.BLOCK)
  chosen = jnp.where(symbols == PAD, -jnp.inf, chosen - greatest)
  chosen = (chosen / temperature).reshape(len(chosen), -1, top_k_lib.BLOCK)
  place = _categorical(pair[1], chosen, 1).reshape(block.shape)
  return (block * top_k_lib.BLOCK + place)[..., 0]


def _categorical(
  keys: Key[Array, "B"], logits: Float[Array, "B S W"], num: int
) -> Int[Array, "B S num"]:
  """Draws from every slot, with the key of its query."""

  def draw(key: Array, logits: Float[Array, "S W"]) -> Int[Array, "S num"]:
    shape = len(logits), num
    return jax.random.categorical(key, logits[:, None], shape=shape)

  return jax.vmap(draw)(keys, logits)
