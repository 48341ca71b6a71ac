import pytest

from genret.core.errors import ConfigError
from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig


def test_lexical_vectors_stand_beside_the_states():
  assert EncoderConfig().width == 384
  assert EncoderConfig(lexical_dim=256).width == 640


@pytest.mark.parametrize(
  ("frozen_below", "frozen"),
  [
    (None, []),
    (0, ["embeddings"]),
    (1, ["embeddings", "layers_0"]),
    (2, ["embeddings", "layers_0", "layers_1"]),
  ],
)
def test_what_is_below_is_frozen(frozen_below, frozen):
  config = EncoderConfig(
    bert=BertConfig(num_layers=2), frozen_below=frozen_below
  )
  parts = ("embeddings", "layers_0", "layers_1")
  paths = {part: f"encoder/bert/{part}/norm/scale" for part in parts}
  found = [part for part, path in paths.items() if config.freezes(path)]
  assert found == frozen
  assert not config.freezes("encoder/lexical/embedding")
  assert not config.freezes("decoder/layers_0/mlp/wo/kernel")


def test_layers_from_ten_on_are_not_taken_for_the_first():
  config = EncoderConfig(bert=BertConfig(num_layers=12), frozen_below=2)
  assert not config.freezes("encoder/bert/layers_10/mlp/wi/kernel")


@pytest.mark.parametrize("frozen_below", [-1, 7])
def test_layers_that_there_are_not_cannot_be_frozen(frozen_below):
  with pytest.raises(ConfigError, match=f"{frozen_below}; expected 0 .* to 6"):
    EncoderConfig(frozen_below=frozen_below)


def test_a_negative_width_is_refused():
  with pytest.raises(ConfigError, match="lexical_dim is -1"):
    EncoderConfig(lexical_dim=-1)
