"""Asks for what is missing, and takes stock of what was answered."""

import concurrent.futures
import contextlib
import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from genret.core.errors import UserError
from genret.querygen import reading
from genret.querygen.answers import Answers, Key
from genret.querygen.prompting import Ask, Backend, Prompt

GIVE_UP = 20
"""Documents that may go without any query before the first that has one."""

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
  """What is wanted for a document.

  Attributes:
    prompt: without examples of this very document.
    docno: of the document.
    text: of it.
    grade: see `Prompt.messages`.
    n: queries.
    attempts: see `Stock`.
  """

  prompt: Prompt
  docno: str
  text: str
  grade: int | None
  n: int
  attempts: int

  @property
  def key(self) -> Key:
    """What its answers are kept under."""
    return self.docno, self.grade


@dataclasses.dataclass(kw_only=True)
class Stock:
  """What came of the asks for a document.

  Asking ends when there are n queries, when as many texts came as n queries
  may take (`attempts` times n), or when so many answers in a row gave none.

  Attributes:
    queries: with their log-probabilities, in the order in which they came.
    faults: what else came, by why it is no query; "refused" are answers
      without texts, after which nothing more is asked for.
    answers: requests that were answered.
    missing: queries to ask for next, 0 where asking has ended.
    prompt_tokens: read for them.
    cached_tokens: of these, from a cache.
    completion_tokens: written.
    cut: whether the document was cut for the model.
    sample: the last text that was no query.
  """

  queries: list[tuple[str, float | None]] = dataclasses.field(
    default_factory=list
  )
  faults: Counter[str] = dataclasses.field(default_factory=Counter)
  answers: int = 0
  missing: int = 0
  prompt_tokens: int = 0
  cached_tokens: int = 0
  completion_tokens: int = 0
  cut: bool = False
  sample: str = ""

  def take(self, text: str, score: float | None, wanted: Wanted) -> None:
    """Sorts what came into queries and faults."""
    as_list = wanted.prompt.as_list
    for query in reading.queries(text, as_list=as_list):
      fault = reading.fault(query, wanted.text, wanted.prompt)
      if fault is None:
        self.queries.append((query, None if as_list else score))
      else:
        self.faults[fault] += 1
        self.sample = text


def take_stock(wanted: Wanted, answers: Answers) -> Stock:
  """Reads all answers for a document."""
  stock = Stock()
  texts = barren = 0
  refused = False
  for answered in answers.of(wanted.key):
    answer = answered.answer
    stock.answers += 1
    stock.prompt_tokens += answer.prompt_tokens
    stock.cached_tokens += answer.cached_tokens
    stock.completion_tokens += answer.completion_tokens
    stock.cut |= answer.cut
    stock.faults.update([] if answer.texts else ["refused"])
    refused |= not answer.texts
    before = len(stock.queries)
    scores = answer.log_probabilities or itertools.repeat(None)
    for text, score in zip(answer.texts, scores, strict=False):
      texts += answered.asked if wanted.prompt.as_list else 1
      stock.take(text, score, wanted)
    barren = barren + 1 if len(stock.queries) == before else 0
  del stock.queries[wanted.n :]
  ended = texts >= wanted.attempts * wanted.n or barren >= wanted.attempts
  stock.missing = 0 if ended or refused else wanted.n - len(stock.queries)
  return stock


def ask_all(
  wanted: Iterable[Wanted],
  backend: Backend,
  answers: Answers,
  *,
  done: Callable[[int], None],
) -> None:
  """Asks until nothing is missing.

  Documents are taken in runs of `backend.batch`, whose first ask is the same
  whether a run was interrupted or not. When something fails, what is under
  way is waited for and kept.

  Args:
    wanted: what is wanted, in corpus order.
    backend: answers.
    answers: what was answered so far; grows.
    done: told how many of `wanted` are done, as they are.

  Raises:
    UserError: the backend's, or that nothing it says is a query.
  """
  watch = _Watch()

  def work(batch: Sequence[Wanted]) -> int:
    while True:
      stocks = [take_stock(one, answers) for one in batch]
      asks = [
        Ask(
          prompt=one.prompt,
          docno=one.docno,
          text=one.text,
          n=stock.missing,
          grade=one.grade,
          attempt=stock.answers,
        )
        for one, stock in zip(batch, stocks, strict=True)
        if stock.missing
      ]
      if not asks:
        watch.look(stocks)
        return len(batch)
      answers.add(asks, backend.complete(asks))

  batches = _batched(wanted, backend.batch)
  for count in _in_flight(work, batches, most=backend.in_flight):
    done(count)


class _Watch:
  """Ends a run early that pays for nothing."""

  def __init__(self):
    self._without = 0
    self._any = False

  def look(self, stocks: Sequence[Stock]) -> None:
    for stock in stocks:
      self._any |= bool(stock.queries)
      self._without += not stock.queries
    if not self._any and self._without >= GIVE_UP:
      raise UserError(
        f"Nothing that was answered for the first {self._without} documents is"
        f" a query; the last answer: {stocks[-1].sample[:200]!r}. Change the"
        " instruction, the examples or the model; the answers are kept."
      )


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
  rest = iter(items)
  while batch := list(itertools.islice(rest, size)):
    yield batch


def _in_flight(
  work: Callable[[Item], int], items: Iterable[Item], *, most: int
) -> Iterator[int]:
  """Calls a function for all items, so many at once; yields what it returns."""
  rest = iter(items)
  running: set[concurrent.futures.Future[int]] = set()
  pool = concurrent.futures.ThreadPoolExecutor(most)
  with contextlib.ExitStack() as stack:
    stack.callback(pool.shutdown, wait=True, cancel_futures=True)
    while True:
      running |= {
        pool.submit(work, item)
        for item in itertools.islice(rest, most - len(running))
      }
      if not running:
        return
      ended, running = concurrent.futures.wait(
        running, return_when=concurrent.futures.FIRST_COMPLETED
      )
      for future in ended:
        yield future.result()
