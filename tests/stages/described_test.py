import functools

import pytest

from genret.core.errors import ConfigError
from genret.docids import atomic, permuted, semantic
from genret.stages.described import described

FILLED = ("collection", "embeddings", "seed")


def needy(size, *, scale=1.0):
  return size * scale


def test_defaults_are_written_down():
  found = described(semantic.fit, ignore=FILLED)
  assert found.pop("function") == "genret.docids.semantic.fit"
  assert found == {
    "k": 10,
    "leaf_size": 100,
    "max_depth": 16,
    "sample": 8_192,
    "iterations": None,
  }


def test_bound_settings_win_the_outermost_first():
  inner = functools.partial(semantic.fit, k=30, leaf_size=10)
  found = described(functools.partial(inner, k=20), ignore=FILLED)
  assert (found["k"], found["leaf_size"]) == (20, 10)
  explicit = functools.partial(semantic.fit, k=10)
  assert described(explicit, ignore=FILLED) == described(
    semantic.fit, ignore=FILLED
  )


def test_a_wrong_setting_is_named_with_the_nearest():
  wrong = functools.partial(semantic.fit, leaf_sise=3)
  with pytest.raises(ConfigError, match="leaf_sise.*leaf_size"):
    described(wrong, ignore=FILLED)


def test_a_setting_without_value_is_named():
  with pytest.raises(ConfigError, match="needy needs a value for 'size'"):
    described(needy)
  assert described(functools.partial(needy, size=2))["size"] == 2


def test_functions_that_hide_their_settings_are_refused():
  @functools.wraps(needy)
  def wrapped(size):
    return needy(size)

  for hiding in (lambda size: size, wrapped):
    with pytest.raises(ConfigError, match="hides its settings"):
      described(hiding)
  with pytest.raises(ConfigError, match="position"):
    described(functools.partial(needy, 3))


def test_a_function_among_the_settings_is_described_too():
  bound = functools.partial(semantic.fit, k=30)
  outer = functools.partial(permuted.fit, scheme=bound)
  found = described(outer, ignore=FILLED)
  assert found["scheme"] == described(bound, ignore=FILLED)
  plain = functools.partial(permuted.fit, scheme=atomic.fit)
  assert described(plain, ignore=FILLED)["scheme"] == "genret.docids.atomic.fit"
