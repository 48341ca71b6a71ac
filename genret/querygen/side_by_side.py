"""Draws many answers to many documents at once, in parts that they share."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from genret.querygen.drawing import draw
from genret.querygen.prompting import Decoding
from genret.querygen.shared import Part, SharedModel, joined

SPARSE = 0.75
"""Answers that have ended are cleared away when no more than this are left."""


@dataclasses.dataclass(kw_only=True, eq=False)
class Drawn:
  """An answer on its way.

  Attributes:
    symbols: without the one that ended it.
    log_probability: of all of them and the one that ended it.
  """

  symbols: list[int] = dataclasses.field(default_factory=list)
  log_probability: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Question:
  """A text that is to be answered.

  Attributes:
    symbols: what is read after the prefix.
    uniforms: numbers in [0, 1) that decide each answer, step by step [T, n];
      their shape says how many answers and of how many symbols at most.
  """

  symbols: Sequence[int]
  uniforms: np.ndarray


def answer(
  model: SharedModel,
  prefix: Part,
  questions: Sequence[Question],
  *,
  decoding: Decoding,
  ends: Callable[[int], bool],
) -> list[list[Drawn]]:
  """Draws answers to questions that begin alike.

  Args:
    model: the model.
    prefix: what it has read that stands before all of them.
    questions: what follows, one or more.
    decoding: how symbols are drawn.
    ends: whether a symbol ends an answer.

  Returns:
    The answers to each question.
  """
  import torch

  read = [model.read(question.symbols, (prefix,)) for question in questions]
  documents = joined([part for part, _ in read])
  width = max(question.uniforms.shape[1] for question in questions)
  slots = _Slots(questions, width)
  logits = torch.cat([last for _, last in read]).repeat_interleave(width, dim=0)
  starts = prefix.size + documents.lengths
  own = Part()
  steps = max(len(question.uniforms) for question in questions)
  for step in range(steps):
    symbols = slots.take(logits, step, decoding=decoding, ends=ends)
    if step == steps - 1 or not slots.live.any():
      break
    kept = slots.thinned()
    if kept is not None:
      rows, groups = (torch.from_numpy(k).to(model.device) for k in kept)
      own, documents = own.taken(rows), documents.taken(groups)
      starts = starts[groups]
      symbols = symbols[kept[0]]
    positions = (starts + step).repeat_interleave(slots.width)
    logits = model.step(
      torch.from_numpy(symbols).to(model.device),
      (prefix, documents),
      own,
      positions=positions,
    )
  return slots.answers


class _Slots:
  """Which answers are being drawn where: a row a document, of equal width."""

  def __init__(self, questions: Sequence[Question], width: int):
    self.width = width
    self.answers = [
      [Drawn() for _ in range(question.uniforms.shape[1])]
      for question in questions
    ]
    self._uniforms = [question.uniforms for question in questions]
    self._places: list[tuple[int, int]] = [
      (row, column) for row in range(len(questions)) for column in range(width)
    ]
    self.live = np.array(
      [column < len(self.answers[row]) for row, column in self._places]
    )

  def take(
    self,
    logits: Any,
    step: int,
    *,
    decoding: Decoding,
    ends: Callable[[int], bool],
  ) -> np.ndarray:
    """Draws a symbol for every live slot and returns them all, int64 [S]."""
    slots = np.flatnonzero(self.live)
    places = [self._places[slot] for slot in slots]
    rows = logits[slots].float().cpu().numpy()
    uniforms = np.array([self._uniforms[i][step, j] for i, j in places])
    chosen, gained = draw(rows, uniforms, decoding)
    out = np.zeros(len(self._places), np.int64)
    for slot, (i, j), symbol, gain in zip(
      slots, places, chosen.tolist(), gained.tolist(), strict=True
    ):
      self.answers[i][j].log_probability += gain
      if ends(symbol):
        self.live[slot] = False
      else:
        self.answers[i][j].symbols.append(symbol)
        out[slot] = symbol
      if step + 1 == len(self._uniforms[i]):
        self.live[slot] = False
    return out

  def thinned(self) -> tuple[np.ndarray, np.ndarray] | None:
    """Clears ended answers away where that is worth it.

    Returns:
      The slots and the rows that stay, by their old numbers; None where all
      do.
    """
    table = self.live.reshape(-1, self.width)
    counts = table.sum(axis=1)
    rows, width = np.flatnonzero(counts), int(counts.max())
    if len(rows) * width > SPARSE * table.size:
      return None
    order = np.argsort(~table[rows], axis=1, kind="stable")[:, :width]
    slots = (rows[:, None] * self.width + order).reshape(-1)
    self._places = [self._places[slot] for slot in slots]
    self.live = self.live[slots]
    self.width = width
    return slots, rows
