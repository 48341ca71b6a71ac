"""PAWA: a head whose weights depend on the symbols already written.

The prefix-aware weight-adaptive decoder of NCI (Wang et al., arXiv
2206.02743): symbol v after a prefix has the logit

  h · (w_v + A_v a),   a = Adaptor(prefix),   A_v [D, D],

where h is what the head reads of the decoder and w_v its column. All A_v
together are the matrix of NCI's Linear_{d -> d V}; it has no bias, since w_v
is one. The adaptor is a small causal decoder over the prefix; a learned
vector stands where its beginning would. It never sees the query. A learned
vector read by cross-attention, as in NCI, has weight 1 at every position and
adds the same to every prefix.

W(prefix), D x V numbers a position, is never made. After m symbols only those
of level m may follow (and EOS), so only their A_v are multiplied with, some
symbols at a time: D² products a symbol. Which level a position is of, the
symbol before it says, packed or not.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Float32, Int

from genret.core.docid_table import EOS, PAD
from genret.models import layers, positions, stack
from genret.models.activations import constrain
from genret.models.sizes import T5Config

Parameters = Mapping[str, Any]

# Numbers of A_v a that are alive at a time, at most: 64 MB.
ALIVE = 1 << 24


def adapt(
  params: Parameters,
  config: T5Config,
  symbols: Int[Array, "B *K T"],
  *,
  bias: Float32[Array, "*B H T Tk"],
  remember: Callable[
    [int, layers.KeysValues], layers.KeysValues
  ] = layers.same_row,
  drop: layers.Dropout = layers.OFF,
) -> Float[Array, "B *K T D"]:
  """Runs the adaptor over prefixes.

  Args:
    params: the tree of `T5`.
    config: of the model.
    symbols: decoder inputs: at each position the symbol before it, BOS = 0.
    bias: relative positions and mask; see `causal_bias`.
    remember: as in `layers.DecoderContext`.
    drop: dropout.

  Returns:
    What W(prefix) is made of, for the prefix that ends at each position.
  """
  own, shape = params["decoder"]["pawa"], config.adaptor
  start = own["start"]["embedding"].astype(config.dtype)
  x = layers.embed_symbols(params, config, symbols)
  x = jnp.where(symbols[..., None] == PAD, start, x)
  x = constrain(drop(x, 0), "batch", "embed")

  def layer(params: Parameters, x: Array, index: int | Array) -> Array:
    return layers.encoder_layer(
      params,
      x,
      bias=bias,
      num_heads=shape.num_heads,
      drop=drop.within(index + 2),
      remember=lambda fresh: remember(index, fresh),
    )

  if remember is not layers.same_row:
    shape = shape.plain
  x = stack.run(stack.layers_of(own), x, layer, config=shape)
  return drop(layers.rms_norm(x, own["norm"]["scale"]), 1)


def causal_bias(
  params: Parameters, config: T5Config, length: int
) -> Float32[Array, "H T T"]:
  """Returns the adaptor's position bias with all later keys masked."""
  tree = {"decoder": params["decoder"]["pawa"]}
  return positions.causal_bias(tree, config, length)


def read(
  params: Parameters,
  config: T5Config,
  hidden: Float[Array, "B T D"],
  *,
  symbols: Int[Array, "B T"],
  segments: Int[Array, "B T"] | None,
  drop: layers.Dropout,
) -> Float32[Array, "B T V"]:
  """Reads the prefixes of whole rows and scores what follows them.

  Args:
    params: the tree of `T5`.
    config: of the model.
    hidden: what the head reads.
    symbols: the decoder inputs.
    segments: of packed rows, the decoder's; None: one docid a row.
    drop: dropout of the adaptor.
  """
  bias = causal_bias(params, config, symbols.shape[1])
  if segments is not None:
    bias = bias + layers.segment_bias(segments, segments)
  adapted = adapt(params, config, symbols, bias=bias, drop=drop)
  return logits(
    params,
    config,
    hidden,
    adapted=adapted,
    symbols=symbols,
    packed=segments is not None,
  )


def logits(
  params: Parameters,
  config: T5Config,
  hidden: Float[Array, "B T D"],
  *,
  adapted: Float[Array, "B T D"],
  symbols: Int[Array, "B T"],
  packed: bool,
) -> Float32[Array, "B T V"]:
  """Scores whole rows; symbols of other levels are at layers.NO_SYMBOL.

  Args:
    params: the tree of `T5`.
    config: of the model.
    hidden: what the head reads.
    adapted: from `adapt`.
    symbols: the decoder inputs.
    packed: whether a row holds several docids.
  """
  own, columns = params["decoder"]["pawa"], level_of_columns(config)
  levels = levels_after(config, symbols)
  none = jnp.zeros((*symbols.shape, 1), jnp.float32)
  added = [none, products(hidden, adapted, own["end"]["kernel"])]
  for level in range(len(config.level_sizes)):
    kernel = own[f"level_{level}"]["kernel"]
    places = _places(levels, level, packed=packed)
    added.append(
      _products_at(places, hidden=hidden, adapted=adapted, kernel=kernel)
    )
  rest = config.head_width - config.num_symbols
  added.append(jnp.broadcast_to(none, (*symbols.shape, rest)))
  mine = (columns == levels[..., None]) | (columns == _END)
  scores = layers.logits(params, config, hidden)
  return jnp.where(mine, scores + jnp.concatenate(added, -1), layers.NO_SYMBOL)


_END, _NOWHERE = -1, -2


def level_of_columns(config: T5Config) -> Int[np.ndarray, "V"]:
  """Numbers the level of each column of the head.

  Returns:
    -1 for EOS, which may follow any prefix, and -2 for what may follow none:
    the pad, and columns by which the head was rounded up.
  """
  columns = np.full(config.head_width, _NOWHERE)
  columns[EOS] = _END
  starts = config.level_starts
  sizes = zip(starts, config.level_sizes, strict=True)
  for level, (start, size) in enumerate(sizes):
    columns[start : start + size] = level
  return columns


def levels_after(
  config: T5Config, symbols: Int[Array, "*B"]
) -> Int[Array, "*B"]:
  """Returns the level that follows each symbol; after EOS there is none."""
  starts = jnp.asarray(config.level_starts)
  following = (symbols[..., None] >= starts).sum(axis=-1)
  return jnp.where(symbols == EOS, len(config.level_starts), following)


def products(
  hidden: Float[Array, "*B D"],
  adapted: Float[Array, "*B D"],
  kernel: Float32[Array, "S D D"],
) -> Float32[Array, "*B S"]:
  """Multiplies h · A_v a for S symbols v, some of them at a time.

  Going backward they are multiplied once more, so that none is kept.

  Args:
    hidden: h.
    adapted: a.
    kernel: A_v, its first axis the symbols, its last multiplied with a.
  """
  wide = hidden.astype(jnp.float32)

  def some(kernel: Array) -> Array:
    moved = jnp.einsum(
      "...j,sij->...si",
      adapted,
      kernel.astype(adapted.dtype),
      preferred_element_type=jnp.float32,
    )
    return jnp.einsum("...si,...i->...s", moved, wide)

  some = jax.checkpoint(some)
  size = at_a_time(adapted.size, len(kernel))
  if size == len(kernel):
    return some(kernel)
  parts = kernel.reshape(-1, size, *kernel.shape[1:])
  found = jax.lax.map(some, parts)  # [S / s, *B, s]
  return jnp.moveaxis(found, 0, -2).reshape(*hidden.shape[:-1], -1)


def at_a_time(numbers: int, num_symbols: int) -> int:
  """Returns how many symbols are multiplied with together.

  >>> at_a_time(768 * 128, 100), at_a_time(768 * 2048, 100)
  (100, 10)

  Args:
    numbers: of the adaptor's output.
    num_symbols: of a level, which the result divides.
  """
  most = max(1, ALIVE // numbers)
  return max(
    n for n in range(1, num_symbols + 1) if n <= most and num_symbols % n == 0
  )


def _places(
  levels: Int[Array, "B T"], level: int, *, packed: bool
) -> tuple[Bool[Array, "B T"], int]:
  """Returns which positions are of a level, and how many can be in a row.

  The symbols before them are in the row as well, so a row of T positions has
  at most T / (m + 1) of level m; with one docid in it, one.
  """
  length = levels.shape[1]
  most = length // (level + 1) if packed else int(level < length)
  return levels == level, most


def _products_at(
  places: tuple[Bool[Array, "B T"], int],
  *,
  hidden: Float[Array, "B T D"],
  adapted: Float[Array, "B T D"],
  kernel: Float32[Array, "S D D"],
) -> Float32[Array, "B T S"]:
  """Multiplies at the places alone; elsewhere is anything finite."""
  chosen, most = places
  shape = (*chosen.shape, len(kernel))
  if not most:
    return jnp.zeros(shape, jnp.float32)
  if most == chosen.shape[1]:
    return products(hidden, adapted, kernel)
  first = jnp.argsort(~chosen, axis=1, stable=True)[:, :most, None]
  found = products(
    jnp.take_along_axis(hidden, first, axis=1),
    jnp.take_along_axis(adapted, first, axis=1),
    kernel,
  )  # [B, most, S]
  number = jnp.clip(jnp.cumsum(chosen, axis=1) - 1, 0, most - 1)
  return jnp.take_along_axis(found, number[..., None], axis=1)


def logits_after(
  params: Parameters,
  config: T5Config,
  hidden: Float[Array, "*B D"],
  *,
  adapted: Float[Array, "*B D"],
  t: int | Int[Array, ""],
) -> Float32[Array, "*B V"]:
  """Scores what follows prefixes of t symbols, as a search does.

  Args:
    params: the tree of `T5`, its head by rows (`fuse`).
    config: of the model.
    hidden: what the head reads.
    adapted: from `adapt`.
    t: the position; of a traced one all levels are compiled, one is run.
  """
  own = params["decoder"]["pawa"]
  rows = params["decoder"]["logits_dense"]["rows"]
  wide = hidden.astype(jnp.float32)

  def of(kernel: Array, first: int) -> Array:
    plain = jnp.einsum("...d,vd->...v", wide, rows[first : first + len(kernel)])
    return plain + products(hidden, adapted, kernel)

  def at(level: int) -> Array:
    end = of(own["end"]["kernel"], EOS)
    parts, first = [(EOS, end)], 0
    if level < len(config.level_starts):
      first = config.level_starts[level]
      parts.append((first, of(own[f"level_{level}"]["kernel"], first)))
    scores = jnp.full((*hidden.shape[:-1], len(rows)), layers.NO_SYMBOL)
    for first, found in parts:
      scores = scores.at[..., first : first + found.shape[-1]].set(found)
    return scores

  if isinstance(t, int):
    return at(t)
  branches = [lambda m=m: at(m) for m in range(len(config.level_starts) + 1)]
  return jax.lax.switch(t, branches)
