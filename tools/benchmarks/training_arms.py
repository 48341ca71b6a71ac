"""The arms of docs/starting_points.md with MiniLM's encoder: their shapes.

Weights are drawn at random: how long a step takes does not depend on them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
  """How a sentence encoder is trained.

  Attributes:
    encoder: Its shape and what is frozen.
    cached: Whether states of the frozen part are there already.
  """

  encoder: EncoderConfig
  cached: bool = False

  @property
  def model(self) -> T5Config:
    """Of studies/start/minilm.gin and lexical.gin, before the docids."""
    return T5Config(
      encoder=self.encoder,
      emb_dim=self.encoder.width,
      num_heads=self.encoder.width // 64,
      mlp_dim=256,
      num_decoder_layers=1,
    )


_FROZEN = EncoderConfig(frozen_below=6, lexical_dim=256)
ARMS: Mapping[str, Arm] = MappingProxyType(
  {
    "MiniLM, all trained": Arm(encoder=EncoderConfig()),
    "MiniLM, two layers trained, states cached": Arm(
      encoder=EncoderConfig(frozen_below=4), cached=True
    ),
    "MiniLM, frozen, lexical": Arm(encoder=_FROZEN),
    "MiniLM, frozen, lexical, states cached": Arm(encoder=_FROZEN, cached=True),
  }
)


def with_states(batches: Sequence[dict], arm: Arm) -> list[dict]:
  """Adds states to batches as a feed with cached ones does, where needed."""
  if not arm.cached:
    return list(batches)
  rng = np.random.default_rng(0)
  width = arm.encoder.bert.emb_dim
  return [
    {
      **batch,
      "encoder_states": rng.normal(
        size=(*batch["encoder_input_tokens"].shape, width)
      ).astype(np.float16),
    }
    for batch in batches
  ]
