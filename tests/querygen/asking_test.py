import threading

import pytest

from genret.core.errors import UserError
from genret.querygen import asking
from genret.querygen.answers import Answers
from genret.querygen.asking import Wanted, ask_all, take_stock
from genret.querygen.prompting import Answer, Prompt


def wanted(docno, *, n=4, attempts=2, as_list=False):
  return Wanted(
    prompt=Prompt(as_list=as_list),
    docno=docno,
    text="a text",
    grade=None,
    n=n,
    attempts=attempts,
  )


class Model:
  """Answers by a rule, and notes every batch it was asked."""

  name = "m"

  def __init__(self, rule, *, batch=1, in_flight=1):
    self.rule = rule
    self.batch = batch
    self.in_flight = in_flight
    self.batches = []

  def complete(self, asks):
    self.batches.append([(ask.docno, ask.n, ask.attempt) for ask in asks])
    return [self.rule(ask) for ask in asks]


def good(ask):
  texts = tuple(f"query {ask.attempt} {i}" for i in range(ask.n))
  return Answer(
    texts=texts, log_probabilities=tuple(-float(i) for i in range(ask.n))
  )


def half(ask):
  """Half of what is asked for is empty, rounded up."""
  texts = tuple("" if i % 2 == 0 else f"query {i}" for i in range(ask.n))
  return Answer(texts=texts, completion_tokens=ask.n)


def asked(model, items, path):
  done = []
  with Answers(path) as answers:
    ask_all(items, model, answers, done=done.append)
    stocks = [take_stock(one, answers) for one in items]
  assert sum(done) == len(items)
  return stocks


def test_one_ask_is_enough_where_all_is_well(tmp_path):
  model = Model(good, batch=2)
  items = [wanted("d1"), wanted("d2"), wanted("d3")]
  stocks = asked(model, items, tmp_path / "a")
  assert model.batches == [[("d1", 4, 0), ("d2", 4, 0)], [("d3", 4, 0)]]
  assert stocks[0].queries == [(f"query 0 {i}", -float(i)) for i in range(4)]


def test_what_is_missing_is_asked_for_again(tmp_path):
  model = Model(half)
  (stock,) = asked(model, [wanted("d1", attempts=3)], tmp_path / "a")
  # 4 asked, 2 came; 2 asked, 1 came; 1 asked, none: three barren ones end it.
  assert [n for ((_, n, _),) in model.batches] == [4, 2, 1, 1, 1]
  assert len(stock.queries) == 3 and stock.faults == {"empty": 6}
  assert stock.completion_tokens == 9


def test_texts_are_bounded(tmp_path):
  model = Model(half)
  (stock,) = asked(model, [wanted("d1", n=8, attempts=2)], tmp_path / "a")
  assert [n for ((_, n, _),) in model.batches] == [8, 4, 2, 1, 1]
  assert stock.missing == 0 and len(stock.queries) == 7


def test_more_than_was_asked_for_is_cut(tmp_path):
  model = Model(lambda ask: Answer(texts=("a b", "c d", "e f")))
  (stock,) = asked(model, [wanted("d1", n=2)], tmp_path / "a")
  assert [text for text, _ in stock.queries] == ["a b", "c d"]


def test_a_list_is_one_text(tmp_path):
  model = Model(lambda ask: Answer(texts=("1. a b\n2. c d",)))
  (stock,) = asked(model, [wanted("d1", n=2, as_list=True)], tmp_path / "a")
  assert stock.queries == [("a b", None), ("c d", None)]


def test_prose_for_a_list_ends_after_the_attempts(tmp_path):
  model = Model(lambda ask: Answer(texts=("I'm sorry, I cannot.",)))
  (stock,) = asked(model, [wanted("d1", n=9, as_list=True)], tmp_path / "a")
  assert len(model.batches) == 2 and not stock.queries


@pytest.mark.parametrize("after", range(6))
def test_batches_are_the_same_after_an_interruption(tmp_path, after):
  items = [wanted(f"d{i}", n=3) for i in range(5)]
  whole = Model(half, batch=2)
  expected = asked(whole, items, tmp_path / "whole")

  def failing(ask):
    if len(first.batches) > after:
      raise UserError("down")
    return half(ask)

  first = Model(failing, batch=2)
  with Answers(tmp_path / "a") as answers, pytest.raises(UserError):
    ask_all(items, first, answers, done=lambda count: None)
  second = Model(half, batch=2)
  assert asked(second, items, tmp_path / "a") == expected
  assert first.batches[:after] + second.batches == whole.batches
  assert (tmp_path / "a").read_bytes() == (tmp_path / "whole").read_bytes()


def test_what_is_under_way_is_kept_when_something_fails(tmp_path):
  started = threading.Barrier(3)

  def rule(ask):
    started.wait(timeout=10)
    if ask.docno == "d1":
      raise UserError("down")
    return good(ask)

  items = [wanted(f"d{i}") for i in range(3)]
  with Answers(tmp_path / "a") as answers:
    with pytest.raises(UserError, match="down"):
      ask_all(items, Model(rule, in_flight=3), answers, done=lambda count: None)
    found = [bool(answers.of(one.key)) for one in items]
  assert found == [True, False, True]


def test_a_model_that_only_talks_is_given_up(tmp_path):
  model = Model(lambda ask: Answer(texts=("Sure! Here you are.",) * ask.n))
  items = [wanted(f"d{i}") for i in range(asking.GIVE_UP + 5)]
  with pytest.raises(UserError, match=r"first 20 documents.*'Sure! Here"):
    asked(model, items, tmp_path / "a")
