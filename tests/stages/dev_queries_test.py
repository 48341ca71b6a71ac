import pytest

from genret.core.errors import ConfigError
from genret.stages import dev_queries
from genret.stages.dev_queries import DevConfig


def test_test_queries_select_nothing():
  with pytest.raises(ConfigError, match="never selected on test"):
    DevConfig(split="test")


def test_without_dev_queries_nothing_is_searched(collection):
  def never():
    raise AssertionError("a retriever was made")

  assert dev_queries.evaluation(None, collection, never)({}, 1) == {}
