import pytest

from genret.core.errors import UserError
from genret.evaluation.selection import refuse_test, select


def test_the_first_of_the_best_wins():
  choice = select("abcd", {"a": 1, "b": 3, "c": 3, "d": 2}.get, split="dev")
  assert choice.best == "b"
  assert choice.value == 3
  assert list(choice.values) == [1, 3, 3, 2]


@pytest.mark.parametrize("split", ["test", "Test", " test", "test2020"])
def test_nothing_is_chosen_on_test(split):
  with pytest.raises(UserError, match="never on"):
    select([1], lambda _: pytest.fail("looked at test"), split=split)
  with pytest.raises(UserError, match="Choose on 'dev'"):
    refuse_test(split)


def test_other_splits_pass():
  assert refuse_test("validation") == "validation"


def test_nothing_to_choose_from():
  with pytest.raises(UserError, match="no settings"):
    select([], lambda _: 0.0, split="dev")
