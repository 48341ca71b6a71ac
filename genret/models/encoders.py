"""What reads the inputs: T5's own encoder, or a sentence encoder in its place.

A sentence encoder's parameters are `encoder/bert`, in the names of
`embeddings/bert.py`, and `encoder/lexical/embedding`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from genret.core import errors
from genret.embeddings import bert
from genret.models import layers, stack
from genret.models.layers import OFF, Dropout, Parameters
from genret.models.sizes import T5Config


def encode(
  params: Parameters,
  config: T5Config,
  inputs: Int[Array, "B L"],
  *,
  segment_ids: Int[Array, "B L"] | None = None,
  positions: Int[Array, "B L"] | None = None,
  states: Float[Array, "B L E"] | None = None,
  drop: Dropout = OFF,
) -> Float[Array, "B L D"]:
  """Runs the encoder that the configuration names.

  Args:
    params: the tree with `encoder`, and for T5's own `token_embedder`.
    config: of the model.
    inputs: text ids; 0 pads.
    segment_ids: of packed rows, 0 on pads.
    positions: of each token in its own text; a sentence encoder needs them of
      packed rows, T5 counts relative positions.
    states: what `frozen_states` returned for the same inputs, which is then
      not computed.
    drop: dropout, of which the frozen layers have none.

  Raises:
    ConfigError: states are given and no layer is frozen.
  """
  encoder = config.encoder
  if states is not None and (encoder is None or encoder.frozen_below is None):
    raise errors.ConfigError(
      "states of a frozen encoder are given, and this model trains all of its"
      " encoder; set EncoderConfig.frozen_below, or leave the states away."
    )
  if encoder is None:
    return layers.encode(
      params, config, inputs, segment_ids=segment_ids, drop=drop
    )
  rows = _Rows(inputs, segment_ids, positions)
  if encoder.frozen_below is None:
    x = drop(_embed(params["encoder"]["bert"], config, rows), 0)
  elif states is None:
    x = _frozen(params, config, rows)
  else:
    x = states.astype(config.dtype)
  x = _run(
    params["encoder"]["bert"],
    x,
    rows.mask,
    config=config,
    first=encoder.frozen_below or 0,
    drop=drop,
  )
  if encoder.lexical_dim:
    table = params["encoder"]["lexical"]["embedding"]
    x = jnp.concatenate([x, table[inputs].astype(x.dtype)], axis=-1)
  return drop(x, 1)


def frozen_states(
  params: Parameters,
  config: T5Config,
  inputs: Int[Array, "B L"],
) -> Float[Array, "B L E"]:
  """Runs the part of a sentence encoder that is not trained.

  Args:
    params: the tree with `encoder`.
    config: of the model; some of its encoder is frozen.
    inputs: text ids, one text a row; 0 pads.

  Returns:
    What the first trained layer reads, in the dtype of the activations.

  Raises:
    ConfigError: nothing is frozen.
  """
  if config.encoder is None or config.encoder.frozen_below is None:
    raise errors.ConfigError(
      "no part of this model's encoder is frozen, so it has no states that"
      " stay the same; set EncoderConfig.frozen_below."
    )
  return _frozen(params, config, _Rows(inputs, None, None))


class _Rows(NamedTuple):
  inputs: Array
  segment_ids: Array | None
  positions: Array | None

  @property
  def mask(self) -> Array:
    """What each token does not attend to."""
    if self.segment_ids is None:
      return bert.key_mask(self.inputs)
    return bert.segment_mask(self.segment_ids)


def _frozen(params: Parameters, config: T5Config, rows: _Rows) -> Array:
  """Runs embeddings and frozen layers; no gradient is asked of them."""
  frozen = jax.lax.stop_gradient(params["encoder"]["bert"])
  return _run(
    frozen,
    _embed(frozen, config, rows),
    rows.mask,
    config=config.plain,
    last=config.encoder.frozen_below,
  )


def _embed(params: Parameters, config: T5Config, rows: _Rows) -> Array:
  if rows.segment_ids is not None and rows.positions is None:
    raise ValueError(
      "packed rows need encoder_positions: this encoder counts positions from"
      " the start of each text."
    )
  return bert.embed(
    params,
    rows.inputs,
    config=config.encoder.bert,
    positions=rows.positions,
    dtype=config.dtype,
  )


def _run(
  params: Parameters,
  x: Array,
  mask: Array,
  *,
  config: T5Config,
  first: int = 0,
  last: int | None = None,
  drop: Dropout = OFF,
) -> Array:
  """Runs BERT's layers from `first` on, up to `last`."""

  def layer(params: Parameters, x: Array, index: int | Array) -> Array:
    own = drop.within(index + 2)
    means = bert.Means(multiply=layers.multiply, drop=own)
    return bert.layer(
      params, x, mask=mask, config=config.encoder.bert, means=means
    )

  return stack.run(stack.layers_of(params)[first:last], x, layer, config=config)
