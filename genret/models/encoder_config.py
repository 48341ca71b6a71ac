"""A sentence encoder in the place of T5's own: its shape, what is trained."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from genret.core import errors
from genret.embeddings.bert import BertConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
  """BERT's layers, and a lexical vector of each token beside their states.

  What the decoder reads of a token is its last state and then its lexical
  vector, which depends on the token alone: words that a state blurs, names
  and numbers above all, stay apart in it.

  Attributes:
    vocabulary: of the inputs, by its name in `core/text.py`.
    bert: shape of the layers.
    frozen_below: the first layer that is trained: embeddings and all layers
      below it stay as they are. 0 freezes the embeddings alone, the number of
      layers all of BERT; None trains everything.
    lexical_dim: width C of the lexical vectors; 0 for none. They are always
      trained.
    lexical_init_stddev: their standard deviation at the start.
  """

  vocabulary: str = "bert_uncased"
  bert: BertConfig = BertConfig()
  frozen_below: int | None = None
  lexical_dim: int = 0
  lexical_init_stddev: float = 0.1

  def __post_init__(self):
    layers = self.bert.num_layers
    if self.frozen_below is not None and not 0 <= self.frozen_below <= layers:
      raise errors.ConfigError(
        f"EncoderConfig.frozen_below is {self.frozen_below}; expected 0 (the"
        f" embeddings) to {layers} (all layers), or None to train everything."
      )
    if self.lexical_dim < 0:
      raise errors.ConfigError(
        f"EncoderConfig.lexical_dim is {self.lexical_dim}; expected 0 or more."
      )

  @property
  def width(self) -> int:
    """D, numbers that the decoder reads of a token."""
    return self.bert.emb_dim + self.lexical_dim

  def freezes(self, path: str) -> bool:
    """Says whether a parameter stays as it is.

    >>> half = EncoderConfig(frozen_below=3)
    >>> half.freezes("encoder/bert/layers_2/mlp/wi/kernel")
    True
    >>> half.freezes("encoder/bert/layers_3/mlp/wi/kernel")
    False

    Args:
      path: of the parameter in the model's tree, joined by slashes.
    """
    if self.frozen_below is None or not path.startswith("encoder/bert/"):
      return False
    part = path.split("/")[2]
    if part == "embeddings":
      return True
    return int(part.removeprefix("layers_")) < self.frozen_below

  @classmethod
  def from_json(cls, fields: Mapping[str, Any]) -> Self:
    """Makes one of what JSON keeps of `dataclasses.asdict`."""
    return cls(**{**fields, "bert": BertConfig(**fields["bert"])})
