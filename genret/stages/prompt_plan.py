"""What asking a language model will take, said before anything is asked."""

import dataclasses
from collections.abc import Iterable

from genret.core import text
from genret.querygen.asking import Wanted
from genret.querygen.prompting import Ask, Decoding, Message

TOKENISED = 1000  # prompts that are read token by token, evenly spread


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptPlan:
  """What one request for each document takes; a second attempt is not in it.

  Attributes:
    requests: One for each document with a text, and each grade.
    queries: That they ask for.
    prompt_tokens: Read, by T5's vocabulary: other models differ by tenths.
    completion_tokens: Written, at most.
    cost: Dollars at most, with those tokens; None where no price is known.
    first: The first prompt, whole.
  """

  requests: int
  queries: int
  prompt_tokens: int
  completion_tokens: int
  cost: float | None
  first: tuple[Message, ...]

  def table(self) -> str:
    """Returns it for people."""
    cost = "no --prices" if self.cost is None else f"${self.cost:,.2f} at most"
    lines = [
      f"requests           {self.requests:,}",
      f"queries            {self.queries:,}",
      f"prompt tokens      {self.prompt_tokens:,} or so, by T5's vocabulary",
      f"completion tokens  {self.completion_tokens:,} at most",
      f"cost               {cost}; what is asked again comes on top",
      "the first prompt:",
    ]
    for message in self.first:
      lines.append(f"  {message.role}: {message.content}")
    return "\n".join(lines)


def plan(
  wanted: Iterable[Wanted],
  *,
  decoding: Decoding,
  prices: tuple[float, float] | None,
  every: int,
) -> PromptPlan:
  """Counts what a first request for each document takes.

  Args:
    wanted: What is wanted of each document.
    decoding: Its `max_tokens` are those of a query.
    prices: Dollars for a million tokens of prompt and of completion.
    every: Which prompts are read token by token: each so many-th.
  """
  requests = queries = tokens = counted = 0
  first: tuple[Message, ...] = ()
  for number, one in enumerate(wanted):
    requests += 1
    queries += one.n
    if number % every == 0:
      messages = _messages(one)
      first = first or messages
      counted += 1
      tokens += _tokens(messages)
  prompt_tokens = round(tokens / counted * requests) if counted else 0
  completion_tokens = queries * decoding.max_tokens
  return PromptPlan(
    requests=requests,
    queries=queries,
    prompt_tokens=prompt_tokens,
    completion_tokens=completion_tokens,
    cost=dollars(prompt_tokens, completion_tokens, prices=prices),
    first=first,
  )


def dollars(
  prompt_tokens: int,
  completion_tokens: int,
  *,
  prices: tuple[float, float] | None,
) -> float | None:
  """Returns what tokens cost, or None where no price is known.

  >>> dollars(1_000_000, 500_000, prices=(0.5, 2.0))
  1.5
  """
  if prices is None:
    return None
  return (prompt_tokens * prices[0] + completion_tokens * prices[1]) / 1e6


def _messages(wanted: Wanted) -> tuple[Message, ...]:
  return Ask(
    prompt=wanted.prompt,
    docno=wanted.docno,
    text=wanted.text,
    n=wanted.n,
    grade=wanted.grade,
  ).messages


def _tokens(messages: Iterable[Message]) -> int:
  texts = [message.content for message in messages]
  vocabulary = text.vocabulary("t5")
  return sum(map(len, vocabulary.encode(texts, max_length=1 << 20)))
