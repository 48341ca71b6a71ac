"""What an RQ-VAE is made of and how it is trained."""

import dataclasses

from genret.core.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RqVaeConfig:
  """The autoencoder and its training.

  Attributes:
    levels: codebooks, and symbols a docid.
    k: codes a codebook.
    hidden: widths between a vector and what is quantised; the decoder has
      them in reverse.
    latent: width of what is quantised.
    commitment: weight of the loss that draws the encoder to the codes.
    steps: of training.
    batch_size: documents a step, drawn with replacement.
    learning_rate: of Adam.
    renewed_every: steps after which codes that no document had meanwhile
      move to where some document is.
  """

  levels: int = 3
  k: int = 256
  hidden: tuple[int, ...] = (256, 128)
  latent: int = 32
  commitment: float = 0.25
  steps: int = 2_000
  batch_size: int = 1_024
  learning_rate: float = 0.001
  renewed_every: int = 100

  def __post_init__(self):
    least = {
      "levels": 1,
      "k": 2,
      "latent": 1,
      "commitment": 0,
      "steps": 0,
      "batch_size": 1,
      "renewed_every": 1,
    }
    for name, bound in least.items():
      if getattr(self, name) < bound:
        raise ConfigError(
          f"{name} must be at least {bound}, not {getattr(self, name)}."
        )
    if min(self.hidden, default=1) < 1:
      raise ConfigError(f"hidden widths are at least 1; {self.hidden} came.")
    if self.learning_rate <= 0:
      raise ConfigError(
        f"learning_rate must be above 0, not {self.learning_rate}."
      )
