import pytest

from genret.core.errors import ConfigError
from genret.serving.limits import Limits


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"k": 0}, "Limits.k is 0; expected 1 or more"),
    ({"dropped": -1}, "Limits.dropped is -1"),
    ({"body_seconds": 0.0}, "Limits.body_seconds"),
    ({"waiting": 8}, "could never be accepted"),
    ({"stop_seconds": 20.0}, "more are needed"),
  ],
)
def test_limits_that_cannot_be_kept_are_refused(given, message):
  with pytest.raises(ConfigError, match=message):
    Limits(**given)


def test_nothing_need_be_shown_of_what_was_dropped():
  assert Limits(dropped=0).dropped == 0
