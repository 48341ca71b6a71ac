"""T5.1.1 in flax.linen, with t5x's parameter tree and logical axes.

The modules declare parameters under the names of t5x's T5, so its public
checkpoints load as they are; `layers.py` computes with them. A docid
vocabulary of its own adds `decoder/docid_embedder/embedding` and gives
`decoder/logits_dense/kernel` its width.

Two departures from t5x, neither of which a checkpoint notices: every dropout
mask is shared along the length, the one after the encoder's last norm
included (as in the original T5; t5x draws that one for each position), and
a padded decoder row is masked by causality or segments alone.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float, Float32, Int

from genret.core import errors
from genret.models import (
  bert_parameters,
  encoders,
  layers,
  parameters,
  pawa,
  positions,
)
from genret.models.bert_parameters import Declared
from genret.models.sizes import SIZES, T5Config, size

__all__ = [
  "SIZES",
  "T5",
  "T5Config",
  "head_kernel",
  "size",
  "with_head_kernel",
]


class T5(nn.Module):
  """An encoder-decoder that reads text and scores docid symbols.

  Rows may be packed: segment ids number the examples of a row from 1, 0 pads,
  and a decoder segment reads the encoder segment of its own number.

  Attributes:
    config: shape, regularisation and initialisation.
  """

  config: T5Config

  def setup(self):
    """Declares the parameters."""
    config = self.config
    if config.embeds_text:
      self.token_embedder = parameters.embedding(
        "token_embedder",
        config.vocab_size,
        config,
        stddev=config.embedding_init_stddev,
      )
    if config.encoder is None:
      self.encoder = parameters.Encoder(config)
    else:
      self.encoder = Declared(bert_parameters.tree(config.encoder))
    self.decoder = parameters.Decoder(config)

  def encode(
    self,
    inputs: Int[Array, "B L"],
    *,
    segment_ids: Int[Array, "B L"] | None = None,
    positions: Int[Array, "B L"] | None = None,
    states: Float[Array, "B L E"] | None = None,
    deterministic: bool = True,
  ) -> Float[Array, "B L D"]:
    """Encodes texts.

    Args:
      inputs: text ids; 0 pads and is not attended to.
      segment_ids: of packed rows.
      positions: of packed rows, where a sentence encoder reads them.
      states: of the same inputs, from `encoders.frozen_states`; the frozen
        layers are then not run.
      deterministic: False drops values, and needs the "dropout" rng.

    Returns:
      One vector a position, in the dtype of the activations.
    """
    params = {"encoder": self.encoder()}
    if self.config.encoder is None:
      params["token_embedder"] = self.token_embedder()
    return encoders.encode(
      params,
      self.config,
      inputs,
      segment_ids=segment_ids,
      positions=positions,
      states=states,
      drop=self._dropout(deterministic, 0),
    )

  def decode(
    self,
    encoded: Float[Array, "B L D"],
    inputs: Int[Array, "B L"],
    decoder_inputs: Int[Array, "B T"],
    *,
    encoder_segment_ids: Int[Array, "B L"] | None = None,
    decoder_segment_ids: Int[Array, "B T"] | None = None,
    deterministic: bool = True,
    head: bool = True,
  ) -> Float[Array, "B T V"]:
    """Scores the symbol that follows each decoder input.

    Args:
      encoded: what `encode` returned.
      inputs: the encoder's inputs, for their padding.
      decoder_inputs: symbols shifted right; 0 (BOS) opens each docid.
      encoder_segment_ids: of packed rows.
      decoder_segment_ids: of packed rows.
      deterministic: False drops values, and needs the "dropout" rng.
      head: False leaves the head to the caller, who may not want its logits
        all at once.

    Returns:
      Logits, float32, as wide as the head; columns that only pad the head are
      at layers.NO_SYMBOL. Without the head what it reads, [B, T, D]: the
      logits are its product, in float32, with `head_kernel`.
    """
    config = self.config
    if (encoder_segment_ids is None) != (decoder_segment_ids is None):
      raise ValueError(
        "packed rows need encoder_segment_ids and decoder_segment_ids; one of"
        " them is None."
      )
    own = config.docid_vocab_size is not None
    params = {"decoder": self.decoder()}
    if not own:
      params["token_embedder"] = self.token_embedder()
    bias = positions.causal_bias(params, config, decoder_inputs.shape[1])
    sources, targets = encoder_segment_ids, decoder_segment_ids
    if targets is None:
      sources, targets = inputs > 0, jnp.ones_like(decoder_inputs, bool)
    else:
      bias = bias + layers.segment_bias(targets, targets)
    context = layers.DecoderContext(
      cross=lambda layer: layers.keys_values(layer, config, encoded),
      cross_bias=layers.segment_bias(targets, sources),
      self_bias=bias,
    )
    drop = self._dropout(deterministic, 1)
    hidden = layers.decode(
      params, config, decoder_inputs, context=context, drop=drop
    )
    if config.pawa is None:
      return layers.logits(params, config, hidden) if head else hidden
    if not head:
      raise errors.ConfigError(
        "the head of T5Config.pawa is no product with a kernel; it is computed"
        " whole. Set Loss.head to None or to losses.Plain()."
      )
    return pawa.read(
      params,
      config,
      hidden,
      symbols=decoder_inputs,
      segments=decoder_segment_ids,
      drop=self._dropout(deterministic, 2),
    )

  def __call__(
    self,
    inputs: Int[Array, "B L"],
    decoder_inputs: Int[Array, "B T"],
    *,
    encoder_segment_ids: Int[Array, "B L"] | None = None,
    decoder_segment_ids: Int[Array, "B T"] | None = None,
    encoder_positions: Int[Array, "B L"] | None = None,
    encoder_states: Float[Array, "B L E"] | None = None,
    deterministic: bool = True,
    head: bool = True,
  ) -> Float[Array, "B T V"]:
    """Encodes and decodes: see both.

    Args:
      inputs: text ids; 0 pads.
      decoder_inputs: symbols shifted right; 0 (BOS) opens each docid.
      encoder_segment_ids: of packed rows.
      decoder_segment_ids: of packed rows.
      encoder_positions: of packed rows. T5 counts relative positions and
        needs none, a sentence encoder does.
      encoder_states: of the same inputs, from `encoders.frozen_states`.
      deterministic: False drops values, and needs the "dropout" rng.
      head: False leaves the head to the caller.

    Returns:
      Logits [B, T, V], float32, V as wide as the head; or without the head
      what it reads, [B, T, D].
    """
    encoded = self.encode(
      inputs,
      segment_ids=encoder_segment_ids,
      positions=encoder_positions,
      states=encoder_states,
      deterministic=deterministic,
    )
    return self.decode(
      encoded,
      inputs,
      decoder_inputs,
      encoder_segment_ids=encoder_segment_ids,
      decoder_segment_ids=decoder_segment_ids,
      deterministic=deterministic,
      head=head,
    )

  def _dropout(self, deterministic: bool, part: int) -> layers.Dropout:
    if deterministic or self.config.dropout_rate == 0.0:
      return layers.OFF
    drop = layers.Dropout(self.config.dropout_rate, self.make_rng("dropout"))
    return drop.within(part)


def head_kernel(params: Mapping[str, Any]) -> Float32[Array, "D V"]:
  """Returns the head of a parameter tree of T5, as wide as `head_width`."""
  return params["decoder"]["logits_dense"]["kernel"]


def with_head_kernel(
  params: Mapping[str, Any], kernel: Float32[Array, "D V"]
) -> dict[str, Any]:
  """Returns a parameter tree of T5 with another head."""
  decoder = {**params["decoder"], "logits_dense": {"kernel": kernel}}
  return {**params, "decoder": decoder}
