import pytest

from genret.core.errors import ConfigError
from genret.querygen.prompting import Ask, Example, Prompt, check_grades

ADA = Example(docno="d1", text="Ada was born in 1815.", query="when?")
BERN = Example(docno="d2", text="Bern is a city.", query="what?", grade=2)


def test_all_but_the_last_turn_is_shared():
  prompt = Prompt(examples=(ADA, BERN))
  one, two = prompt.messages("a", grade=1), prompt.messages("b")
  assert one[:-1] == two[:-1]
  assert one[-1].content == "Passage: a\nRelevance: 1"
  assert two[-1].content == "Passage: b"
  assert one[3].content == "Passage: Bern is a city.\nRelevance: 2"


def test_an_example_does_not_stand_before_its_own_document():
  prompt = Prompt(examples=(ADA, BERN))
  assert prompt.without("d2") == Prompt(examples=(ADA,))
  assert prompt.without("d9") is prompt


def test_lists():
  prompt = Prompt(instruction="Ask.", examples=(ADA,), as_list=True)
  messages = Ask(prompt=prompt, docno="d", text="x", n=4).messages
  assert "Write 4 different ones" in messages[0].content
  assert messages[2].content == "1. when?"


def test_at_most_eight_examples():
  with pytest.raises(ConfigError, match="9 examples came"):
    Prompt(examples=(ADA,) * 9)
  with pytest.raises(ConfigError, match="instruction is empty"):
    Prompt(instruction=" ")


def test_grades_need_examples_with_grades():
  check_grades(Prompt(examples=(BERN,)), (2,))
  check_grades(Prompt(), (1, 2))
  check_grades(Prompt(examples=(ADA,)), ())
  with pytest.raises(ConfigError, match="1 of the 2 examples have none"):
    check_grades(Prompt(examples=(ADA, BERN)), (1,))
  with pytest.raises(ConfigError, match=r"Grades \[1\].*examples have \[2\]"):
    check_grades(Prompt(examples=(BERN,)), (1, 2))
