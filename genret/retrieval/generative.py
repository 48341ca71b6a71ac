"""The generative retriever: a T5, its docids and a constrained search."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from genret.core import text
from genret.core.collection import Query
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError
from genret.core.runs import Hit
from genret.decoding import atomic
from genret.decoding.atomic import AtomicIndex
from genret.decoding.beam_search import Beams, beam_search
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.selection import Scoring
from genret.decoding.trie import Trie
from genret.models.stepper import T5Stepper
from genret.retrieval import model_folder, on_mesh, searcher
from genret.retrieval.model_folder import ModelSpec
from genret.retrieval.unconstrained import FreeSearch
from genret.training.partitioning import MeshShape

BATCH_SIZES = (1, 8, 64)
LENGTHS = (16, 32, 64, 128, 256, 512)


class OtherSearch(Protocol):
  """A search that scores raw and walks along no trie on the device."""

  def __call__(
    self, stepper: T5Stepper, inputs: np.ndarray, *, num_beams: int
  ) -> Beams:
    """Searches a batch of ids [B, L]."""
    ...


class Retriever:
  """Searches a corpus by writing docids.

  Compiled programs are kept by the shape of a batch: batch sizes and lengths
  are rounded up to a few values, so a service never compiles anew.

  Args:
    spec: The model's `model.json`.
    params: The parameter tree; None where `with_params` will give it.
    table: The docids.
    trie: The trie over them; it stays an attribute.
    mesh: Where the parameters lie, if on several devices. Then all processes
      must search the same queries at the same time.
    constrained: Whether only docids are written; else whatever the model
      likes, and what is no docid is dropped.
  """

  def __init__(
    self,
    spec: ModelSpec,
    params: Any | None,
    *,
    table: DocidTable,
    trie: Trie,
    mesh: Mesh | None = None,
    constrained: bool = True,
  ):
    self.spec = spec
    self.table = table
    self._mesh = None if mesh is None or mesh.size == 1 else mesh
    self.trie = trie
    if not constrained and self._mesh is not None:
      raise ConfigError(
        "The search without constraint is of one device; leave the devices"
        " that share a model at one, or search with constraint."
      )
    self._other = None if constrained else FreeSearch(trie)
    self._docids = self._place(trie) if constrained else None
    self._stepper = self._create_stepper(params)
    self._vocabulary = text.vocabulary(spec.model.input_vocabulary)
    self._ties = searcher.tie_order(table.num_documents, seed=spec.tie_seed)

  @classmethod
  def load(
    cls,
    model_dir: str | Path,
    *,
    checkpoint: str | int = "best",
    scoring: Scoring | None = None,
    shape: MeshShape | None = None,
    constrained: bool = True,
  ) -> "Retriever":
    """Loads a trained model.

    Args:
      model_dir: A model folder that `genret train` wrote.
      checkpoint: `best` (by the dev measure), `newest`, or a step.
      scoring: How docids are scored; None for the model's own way.
      shape: How all devices of this process share the model, of which none
        then holds more than its part; None for one device that holds it all.
      constrained: Whether only docids are written, as in the class.

    Returns:
      The retriever, its parameters on its devices.

    Raises:
      ArtifactError: If the folder is no whole model folder.
      UserError: If there is no such scoring.
    """
    folder = Path(model_dir)
    spec = ModelSpec.load(folder)
    table, trie = model_folder.load_docids(folder, spec)
    mesh = placements = None
    if shape is not None:
      mesh = shape.build()
      placements = on_mesh.placements(spec.model, shape, mesh)
    _, params = model_folder.load_params(
      folder, spec, checkpoint, placements=placements
    )
    if scoring is not None:
      spec = dataclasses.replace(spec, scoring=scoring)
    return cls(
      spec,
      params,
      table=table,
      trie=trie,
      mesh=mesh,
      constrained=constrained,
    )

  def search(
    self, queries: Sequence[str], *, k: int = 10, num_beams: int | None = None
  ) -> list[list[Hit]]:
    """Ranks documents for each query.

    Args:
      queries: Texts.
      k: Documents wanted a query; fewer come back where fewer exist.
      num_beams: Docids kept a step; None for `k`.

    Returns:
      For each query its hits, best first, with strictly decreasing scores:
      the log-probability of the document's docid, in nats. Documents that
      share a docid follow one another in a seeded order.

    Raises:
      UserError: If `queries` is a single string, or a number is below 1.
    """
    if isinstance(queries, str):
      raise UserError("search takes a list of queries; put this one in a list.")
    tokens = self._vocabulary.encode(queries, max_length=self.spec.input_length)
    return self.search_tokens(tokens, k=k, num_beams=num_beams)

  def search_tokens(
    self,
    tokens: Sequence[Sequence[int]],
    *,
    k: int = 10,
    num_beams: int | None = None,
  ) -> list[list[Hit]]:
    """Ranks documents for inputs that are ids already, however long.

    Args:
      tokens: Ids of each input, start and end included, as examples of
        training have them.
      k: Documents wanted an input; fewer come back where fewer exist.
      num_beams: Docids kept a step; None for `k`.

    Returns:
      For each input its hits, as `search`.

    Raises:
      UserError: If a number is below 1.
    """
    searcher.check_k(k)
    num_beams = k if num_beams is None else num_beams
    if num_beams < 1:
      raise UserError(f"num_beams is {num_beams}; expected 1 or more.")
    found: list[list[Hit]] = [[]] * len(tokens)
    for numbers, beams in self._batches(tokens, num_beams):
      for row, number in enumerate(numbers):
        found[number] = self.hits(beams, row, k=k)
    return found

  def run(
    self, queries: Sequence[Query], *, k: int, num_beams: int | None = None
  ) -> Mapping[str, list[Hit]]:
    """Ranks documents for the queries of a collection, as a run."""
    texts = [query.text for query in queries]
    hits = self.search(texts, k=k, num_beams=num_beams)
    ids = (query.query_id for query in queries)
    return dict(zip(ids, hits, strict=True))

  def beams(
    self, queries: Sequence[str], *, num_beams: int
  ) -> Iterator[tuple[Sequence[int], Beams]]:
    """Searches, and yields what was written in place of documents.

    Args:
      queries: Texts.
      num_beams: Docids kept a step.

    Yields:
      Of each batch the places of its queries in `queries`, and their beams on
      the host; rows of beams after the last query are padding.
    """
    tokens = self._vocabulary.encode(queries, max_length=self.spec.input_length)
    yield from self._batches(tokens, num_beams)

  def with_search(self, search: "OtherSearch") -> "Retriever":
    """Returns this retriever with another search, its weights shared.

    Raises:
      ConfigError: If several devices share the model.
    """
    if self._mesh is not None:
      raise ConfigError(
        "Searches other than that along the trie are of one device; leave the"
        " devices that share a model at one."
      )
    return self._like(_other=search)

  def with_params(self, params: Any) -> "Retriever":
    """Returns this retriever over other parameters, compiled programs kept."""
    return self._like(_stepper=self._create_stepper(params))

  def _like(self, **changed: Any) -> "Retriever":
    other = object.__new__(type(self))
    other.__dict__.update(self.__dict__, **changed)
    return other

  def _create_stepper(self, params: Any | None) -> T5Stepper | None:
    if params is None:
      return None
    if self._mesh is not None:
      return on_mesh.create_stepper(params, self.spec.model, self._docids)
    return T5Stepper.create(params, self.spec.model)

  def _place(self, trie: Trie) -> Any:
    """Copies docids to the devices in the form that is searched soonest."""
    if self._mesh is not None:
      return on_mesh.place_docids(trie, self._mesh, config=self.spec.model)
    if trie.length == 1:
      return AtomicIndex.place(trie)
    return DeviceTrie.place(trie)

  def _batches(
    self, tokens: Sequence[Sequence[int]], num_beams: int
  ) -> Iterator[tuple[Sequence[int], Beams]]:
    """Searches in batches of similar length; yields query numbers, beams."""
    order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
    for start in range(0, len(order), BATCH_SIZES[-1]):
      numbers = order[start : start + BATCH_SIZES[-1]]
      rows = [tokens[i] for i in numbers]
      rows += [rows[0]] * (_round_up(len(rows), BATCH_SIZES) - len(rows))
      longest = max(map(len, rows))
      most = max(longest, self.spec.input_length)
      length = min(_round_up(longest, LENGTHS), most)
      inputs = self._vocabulary.pad(rows, length)  # [B, L]
      beams = self._search(
        self._stepper,
        self._docids,
        inputs=inputs,
        num_beams=num_beams,
        scoring=self.spec.scoring,
      )
      yield numbers, jax.device_get(beams)

  @property
  def _search(self) -> Callable[..., Beams]:
    if self._other is not None:
      return self._search_otherwise
    if self._mesh is None:
      return _search
    return functools.partial(on_mesh.search, mesh=self._mesh)

  def _search_otherwise(
    self,
    stepper: T5Stepper,
    docids: Any,
    *,
    inputs: np.ndarray,
    num_beams: int,
    scoring: Scoring,
  ) -> Beams:
    del docids, scoring  # it knows the docids, and scores raw
    return self._other(stepper, inputs, num_beams=num_beams)

  def hits(self, beams: Beams, place: int, *, k: int) -> list[Hit]:
    """Expands the beams of one query to at most k documents.

    Args:
      beams: From `beams`.
      place: Of the query in its batch.
      k: Documents wanted.
    """
    documents: list[int] = []
    document_scores: list[float] = []
    valid = beams.valid[place]
    rows, scores = beams.rows[place][valid], beams.scores[place][valid]
    for row, score in zip(rows, scores, strict=True):
      shared = self.trie.documents(row)
      shared = shared[np.argsort(self._ties[shared])]
      documents.extend(shared.tolist())
      document_scores.extend([score] * len(shared))
      if len(documents) >= k:
        break
    return searcher.hits(
      np.asarray(documents[:k], np.int64),
      np.asarray(document_scores[:k], np.float32),
      self.table.docnos,
    )


@functools.partial(jax.jit, static_argnames=("num_beams", "scoring"))
def _search(
  stepper: T5Stepper,
  docids: DeviceTrie | AtomicIndex,
  *,
  inputs: jax.Array,
  num_beams: int,
  scoring: Scoring,
) -> Beams:
  search = atomic.search if isinstance(docids, AtomicIndex) else beam_search
  encoded = stepper.encode(inputs)
  return search(stepper, encoded, docids, num_beams=num_beams, scoring=scoring)


def _round_up(size: int, sizes: Sequence[int]) -> int:
  """Returns the least of the sizes that holds `size`, or `size` itself."""
  return next((s for s in sizes if s >= size), size)
