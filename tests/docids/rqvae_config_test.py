import pytest

from genret.core.errors import ConfigError
from genret.docids.rqvae_config import RqVaeConfig


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"k": 1}, "k must be at least 2, not 1"),
    ({"steps": -1}, "steps must be at least 0, not -1"),
    ({"hidden": (16, 0)}, r"at least 1; \(16, 0\) came"),
    ({"learning_rate": 0.0}, "learning_rate must be above 0"),
  ],
)
def test_what_cannot_be_is_said(given, message):
  with pytest.raises(ConfigError, match=message):
    RqVaeConfig(**given)
