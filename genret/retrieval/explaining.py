"""Why a search answered as it did: the tree of its beams, named for people."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from genret.core.errors import UserError
from genret.core.runs import Hit
from genret.models.stepper import T5Stepper
from genret.retrieval import docid_text, tracing
from genret.retrieval.found import Documents
from genret.retrieval.model_folder import ModelSpec
from genret.retrieval.tracing import Step


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Node:
  """A prefix that the search weighed.

  Attributes:
    id: its symbols with dots between, such as "3.17".
    parent: the id of the prefix one symbol shorter; "" is the root.
    symbol: the last one. 0 where the docid had ended before: it is kept or
      dropped beside prefixes that still grow, at the score it has.
    label: the last symbol as people read it, by `docid_text.of_symbol`.
    score: log-probability of the whole prefix, in nats.
    probability: the same as a number from 0 to 1.
    kept: whether the search went on from here.
    complete: whether it is a whole docid.
    documents: how many have a docid that begins so.
    docnos: some of them, in the order of docids.
  """

  id: str
  parent: str
  symbol: int
  label: str
  score: float
  probability: float
  kept: bool
  complete: bool
  documents: int
  docnos: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Level:
  """What was weighed of one length.

  Attributes:
    depth: symbols of the prefixes, from 1 on.
    candidates: how many prefixes were weighed.
    nodes: those kept, best first; then the best of those dropped.
  """

  depth: int
  candidates: int
  nodes: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
  """What a search did for a query.

  Attributes:
    query: its text.
    scheme: how the docids were made.
    scoring: `raw`: log-probabilities among all symbols. `renormalised`: among
      those that may follow, so that the only one that may is free.
    num_beams: the prefixes kept of each length, at most.
    levels: by length of the prefixes.
    hits: the documents, as `Retriever.search` finds them.
    docids: the docid of each hit, as people read it.
  """

  query: str
  scheme: str
  scoring: str
  num_beams: int
  levels: tuple[Level, ...]
  hits: tuple[Hit, ...]
  docids: tuple[str, ...]

  def as_json(self) -> dict[str, Any]:
    """Returns what `json.dumps` takes; each hit has its docid."""
    fields = dataclasses.asdict(self)
    docids = fields.pop("docids")
    for hit, docid in zip(fields["hits"], docids, strict=True):
      hit["docid"] = docid
    return fields


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Question:
  """What is to be explained, and how much of it.

  Attributes:
    query: a text.
    num_beams: docids kept a step.
    dropped: prefixes named of each length that were not kept, at most.
    documents: documents named of each prefix, at most.
  """

  query: str
  num_beams: int
  dropped: int
  documents: int

  def __post_init__(self):
    if not isinstance(self.query, str):
      raise UserError(
        f"explain takes one query, a string; {type(self.query).__name__} came."
      )
    for name, least in (("num_beams", 1), ("dropped", 0), ("documents", 0)):
      number = getattr(self, name)
      if number < least:
        raise UserError(f"{name} is {number}; expected {least} or more.")


def explain(
  question: Question,
  inputs: Int[np.ndarray, "1 L"],
  *,
  stepper: T5Stepper,
  documents: Documents,
  spec: ModelSpec,
) -> Explanation:
  """Searches for one query, and tells what it did.

  Args:
    question: what is asked.
    inputs: the ids of its query.
    stepper: the model.
    documents: those of the trie that is searched.
    spec: the model's `model.json`.
  """
  traced = tracing.trace(
    stepper,
    inputs,
    documents.trie,
    num_beams=question.num_beams,
    dropped=question.dropped,
    scoring=spec.scoring,
  )
  steps = list(traced)
  hits = documents.hits(tracing.beams(steps[-1]), 0, k=question.num_beams)
  return Explanation(
    query=question.query,
    scheme=spec.scheme,
    scoring=spec.scoring,
    num_beams=question.num_beams,
    levels=tuple(
      _level(step, documents, most=question.documents) for step in steps
    ),
    hits=tuple(hits),
    docids=tuple(documents.docid(hit.docno) for hit in hits),
  )


def _level(step: Step, documents: Documents, *, most: int) -> Level:
  """Names what a step weighed, and at most so many documents of each."""
  nodes = []
  for place, prefix in enumerate(step.prefixes.tolist()):
    score = float(step.scores[place])
    count, docnos = documents.below(int(step.states[place]), most=most)
    nodes.append(
      Node(
        id=_id(prefix),
        parent=_id(prefix[:-1]),
        symbol=prefix[-1],
        label=docid_text.of_symbol(documents.table, prefix[-1]),
        score=score,
        probability=math.exp(score),
        kept=place < step.num_kept,
        complete=bool(step.complete[place]),
        documents=count,
        docnos=docnos,
      )
    )
  return Level(
    depth=step.prefixes.shape[1],
    candidates=step.candidates,
    nodes=tuple(nodes),
  )


def _id(symbols: Sequence[int]) -> str:
  return ".".join(map(str, symbols))
