import pytest

from genret.core import text
from genret.querygen.asking import Wanted
from genret.querygen.prompting import Decoding, Prompt
from genret.stages import prompt_plan

PROMPT = Prompt(instruction="Ask.")


def wanted(number):
  for i in range(number):
    yield Wanted(
      prompt=PROMPT,
      docno=f"d{i}",
      text=f"Bird {i % 10} sings.",
      grade=None,
      n=3,
      attempts=2,
    )


def planned(number=20, *, prices=None, every=1):
  return prompt_plan.plan(
    wanted(number),
    decoding=Decoding(max_tokens=8),
    prices=prices,
    every=every,
  )


def test_it_counts_what_one_request_for_each_document_takes():
  vocabulary = text.vocabulary("t5")
  rows = vocabulary.encode(
    ["Ask.", *(f"Passage: Bird {i} sings." for i in range(10))], max_length=99
  )
  ask, *birds = map(len, rows)
  found = planned(20, prices=(1e6, 0.0))
  assert (found.requests, found.queries) == (20, 60)
  assert found.prompt_tokens == 20 * ask + 2 * sum(birds)
  assert found.completion_tokens == 60 * 8
  assert found.cost == found.prompt_tokens


def test_a_sample_of_prompts_stands_for_all():
  assert planned(200, every=7).prompt_tokens == pytest.approx(
    planned(200).prompt_tokens, rel=0.02
  )


def test_people_see_the_first_prompt_and_that_no_price_is_known():
  shown = planned().table()
  assert "no --prices" in shown
  assert shown.endswith("  system: Ask.\n  user: Passage: Bird 0 sings.")
  assert "$0.00 at most" in planned(prices=(0.1, 0.2)).table()


def test_without_documents_there_is_nothing_to_ask():
  found = planned(0, prices=(1.0, 1.0))
  assert (found.requests, found.prompt_tokens, found.cost) == (0, 0, 0.0)
