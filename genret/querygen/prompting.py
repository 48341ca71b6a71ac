"""Prompts that ask a language model for queries, and what asks and answers are.

Promptagator (Dai et al., 2023): an instruction and at most eight examples of a
document and its query stand before the document that queries are wanted for.
All that stands before the document is the same for every document, so a model
in process reads it once.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from genret.core.errors import ConfigError

MAX_EXAMPLES = 8

INSTRUCTION = (
  "Write a question about each passage. The question names what it is about,"
  " and the passage answers it."
)
LIST = (
  "Write {n} different ones, each on a line of its own, numbered, and nothing"
  " else."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
  """A document and a query that it answers.

  Attributes:
    text: of the document.
    query: of it.
    docno: of the document, where it is one of the collection.
    grade: how relevant it is, where prompts say so.
  """

  text: str
  query: str
  docno: str | None = None
  grade: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
  """A turn of a conversation: whose ("system", "user", …) and what."""

  role: str
  content: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
  """An instruction and examples.

  >>> prompt = Prompt(
  ...   instruction="Ask.",
  ...   examples=(Example(text="Ada was born in 1815.", query="when?"),),
  ... )
  >>> for message in prompt.messages("Bern lies on the Aare."):
  ...   print(message.role, repr(message.content))
  system 'Ask.'
  user 'Passage: Ada was born in 1815.'
  assistant 'when?'
  user 'Passage: Bern lies on the Aare.'

  Attributes:
    instruction: what to do.
    examples: at most eight.
    as_list: whether an answer is a list of queries rather than one.
    document_name: what a document is called.
    query_name: what a query is called, where it is called anything.
  """

  instruction: str = INSTRUCTION
  examples: tuple[Example, ...] = ()
  as_list: bool = False
  document_name: str = "Passage"
  query_name: str = "Question"

  def __post_init__(self):
    if len(self.examples) > MAX_EXAMPLES:
      raise ConfigError(
        f"{len(self.examples)} examples came; a prompt has at most"
        f" {MAX_EXAMPLES}."
      )
    if not self.instruction.strip():
      raise ConfigError("The instruction is empty; say what to write.")

  def without(self, docno: str) -> "Prompt":
    """Leaves the examples away that are of a document."""
    kept = tuple(e for e in self.examples if e.docno != docno)
    if len(kept) == len(self.examples):
      return self
    return dataclasses.replace(self, examples=kept)

  def messages(
    self, text: str, *, n: int = 1, grade: int | None = None
  ) -> tuple[Message, ...]:
    """Words the prompt for a document.

    Args:
      text: of the document.
      n: queries to ask for, where an answer is a list.
      grade: how relevant the document shall be to them; None leaves it open.

    Returns:
      The turns; all but the last are the same for all documents.
    """
    instruction = self.instruction
    if self.as_list:
      instruction = f"{instruction}\n{LIST.format(n=n)}"
    turns = [Message(role="system", content=instruction)]
    for example in self.examples:
      asked = self._asked(example.text, example.grade)
      turns.append(Message(role="user", content=asked))
      answer = f"1. {example.query}" if self.as_list else example.query
      turns.append(Message(role="assistant", content=answer))
    turns.append(Message(role="user", content=self._asked(text, grade)))
    return tuple(turns)

  def _asked(self, text: str, grade: int | None) -> str:
    relevance = "" if grade is None else f"\nRelevance: {grade}"
    return f"{self.document_name}: {text}{relevance}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
  """How a model draws its answers.

  Attributes:
    temperature: divides the logits; 0 takes the best symbol.
    top_p: only the likeliest symbols that together have this share are drawn.
    max_tokens: of a query; of a list of n queries n times as many.
  """

  temperature: float = 0.7
  top_p: float = 0.9
  max_tokens: int = 32

  def __post_init__(self):
    if self.temperature < 0 or not 0 < self.top_p <= 1 or self.max_tokens < 1:
      raise ConfigError(
        "temperature is 0 or more, top_p in (0, 1], max_tokens 1 or more;"
        f" {self} came."
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
  """What is asked of a model at once.

  Attributes:
    prompt: instruction and examples.
    docno: of the document.
    text: of the document, cut to what may be read of it.
    n: queries wanted.
    grade: see `Prompt.messages`.
    attempt: counts what was asked for this document and grade before.
  """

  prompt: Prompt
  docno: str
  text: str
  n: int
  grade: int | None = None
  attempt: int = 0

  @property
  def messages(self) -> tuple[Message, ...]:
    """The turns to answer."""
    return self.prompt.messages(self.text, n=self.n, grade=self.grade)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
  """What a model answered.

  Attributes:
    texts: the answers as they came, each a query or a list of queries.
    log_probabilities: of each, by the model, where they are known.
    prompt_tokens: read, those of a cache too.
    cached_tokens: of these, not read for this answer alone.
    completion_tokens: written.
    cut: whether the document was too long for the model and was cut.
  """

  texts: tuple[str, ...]
  log_probabilities: tuple[float, ...] | None = None
  prompt_tokens: int = 0
  cached_tokens: int = 0
  completion_tokens: int = 0
  cut: bool = False


class Backend(Protocol):
  """A language model.

  Attributes:
    name: of the model, as queries are to name it.
    batch: asks that are answered side by side.
    in_flight: batches that may be under way at once.
  """

  name: str
  batch: int
  in_flight: int

  def complete(self, asks: Sequence[Ask]) -> list[Answer]:
    """Answers a batch; raises UserError where no answer can be had."""
    ...


def check_grades(prompt: Prompt, grades: Sequence[int]) -> None:
  """Refuses grades that the examples, where there are any, do not show."""
  silent = [e for e in prompt.examples if e.grade is None]
  if grades and silent:
    raise ConfigError(
      f"Grades {list(grades)} are asked for, and {len(silent)} of the"
      f" {len(prompt.examples)} examples have none. Give each line of the file"
      ' of examples its "grade".'
    )
  shown = {e.grade for e in prompt.examples}
  if shown and (unknown := [g for g in grades if g not in shown]):
    raise ConfigError(
      f"Grades {unknown} are asked for, and no example has them; the"
      f" {len(prompt.examples)} examples have {sorted(shown)}. Ask for others,"
      " or give more examples."
    )
