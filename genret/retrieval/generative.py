"""The generative retriever: a T5, its docids and a constrained search."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, overload

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Int
from tqdm import tqdm

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
from genret.retrieval import explaining, model_folder, on_mesh, searcher
from genret.retrieval.batches import BATCH_SIZES, batches, lengths
from genret.retrieval.explaining import Explanation, Question
from genret.retrieval.found import Documents
from genret.retrieval.model_folder import ModelSpec
from genret.retrieval.unconstrained import FreeSearch, OtherSearch
from genret.training.partitioning import MeshShape


class Retriever:
  """Searches a corpus by writing docids.

  Compiled programs are kept by the shape of a batch: batch sizes and lengths
  are rounded up to a few values, so a service never compiles anew once it has
  called `warm_up`. Threads may share a retriever.

  A trained one comes from `load`. What follows is true of any:

  >>> from genret.retrieval.untrained import untrained
  >>> table = DocidTable(
  ...   codes=np.array([[2, 4], [2, 5], [3, 4]]),
  ...   docnos=["a", "b", "c"],
  ...   vocab_size=6,
  ...   scheme="example",
  ... )
  >>> retriever = untrained(table)
  >>> hits = retriever.search("a river", k=2, num_beams=3)
  >>> len(hits), hits[0].score > hits[1].score
  (2, True)
  >>> retriever.docid("b")
  '2.5'
  >>> explanation = retriever.explain("a river", num_beams=3)
  >>> [(level.depth, level.candidates) for level in explanation.levels]
  [(1, 2), (2, 3)]
  >>> [hit.docno for hit in explanation.hits][:2] == [h.docno for h in hits]
  True

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
    self._documents = Documents(table, trie, tie_seed=spec.tie_seed)

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

  @overload
  def search(
    self, queries: str, *, k: int = 10, num_beams: int | None = None
  ) -> list[Hit]: ...

  @overload
  def search(
    self, queries: Sequence[str], *, k: int = 10, num_beams: int | None = None
  ) -> list[list[Hit]]: ...

  def search(
    self,
    queries: str | Sequence[str],
    *,
    k: int = 10,
    num_beams: int | None = None,
  ) -> list[Hit] | list[list[Hit]]:
    """Ranks documents for a query, or for each of several.

    Args:
      queries: Texts, or one.
      k: Documents wanted a query; fewer come back where fewer exist.
      num_beams: Docids kept a step; None for `k`.

    Returns:
      For each query its hits, best first, with strictly decreasing scores:
      the log-probability of the document's docid, in nats. Documents that
      share a docid follow one another in a seeded order. For a single string
      its hits alone.

    Raises:
      UserError: If a query is no text, or a number is below 1.
    """
    if isinstance(queries, str):
      return self.search([queries], k=k, num_beams=num_beams)[0]
    return self.search_tokens(self._ids(queries), k=k, num_beams=num_beams)

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
    yield from self._batches(self._ids(queries), num_beams)

  def explain(
    self,
    query: str,
    *,
    num_beams: int = 10,
    dropped: int = 5,
    documents: int = 10,
  ) -> Explanation:
    """Searches step by step, and tells what was kept and what was dropped.

    It finds what `search` finds with as many beams, but more slowly, since
    every step passes by the host: it is for looking at.

    Args:
      query: A text.
      num_beams: Docids kept a step.
      dropped: Prefixes named of each length that were not kept, at most.
      documents: Documents named of each prefix, at most.

    Returns:
      The tree of beams, and the hits.

    Raises:
      UserError: If the query is no text, or a number is too low.
      ConfigError: If several devices share the model, or docids are not
        searched along the trie.
    """
    if not self._is_plain:
      raise ConfigError(
        "Only a search of one device along the trie can be explained; load the"
        " model without a shape, and search with constraint."
      )
    question = Question(
      query=query, num_beams=num_beams, dropped=dropped, documents=documents
    )
    return explaining.explain(
      question,
      self._vocabulary.pad(self._ids([query]), self.spec.input_length),
      stepper=self._stepper,
      documents=self._documents,
      spec=self.spec,
    )

  def docid(self, docno: str) -> str:
    """Returns the docid of a document as people read it.

    Its symbols with dots between, "3.17.4"; of a docid that is text, the text.

    Raises:
      UserError: If there is no such document.
    """
    return self._documents.docid(docno)

  def warm_up(
    self, num_beams: int | Sequence[int], *, explain: bool = True
  ) -> None:
    """Compiles whatever searches of texts need, so that none compiles later.

    Args:
      num_beams: Of the searches to come: one number or several.
      explain: Whether `explain` is asked for with as many beams, too.
    """
    each = [num_beams] if isinstance(num_beams, int) else num_beams
    shapes = [*product(each, BATCH_SIZES, lengths(self.spec.input_length))]
    for beams, size, length in tqdm(shapes, desc="compile", disable=None):
      row = [self._vocabulary.end_id] * length
      self.search_tokens([row] * size, k=1, num_beams=beams)
    self.docid(self.table.docnos[0])
    for beams in each if explain and self._is_plain else ():
      self.explain("", num_beams=beams, documents=0)

  def with_search(self, search: OtherSearch) -> "Retriever":
    """Returns this retriever with another search, its weights shared.

    Raises:
      ConfigError: If several devices share the model.
    """
    if self._mesh is not None:
      raise ConfigError(
        "Other searches are of one device: let no devices share the model."
      )
    return self._like(_other=search)

  def with_params(self, params: Any) -> "Retriever":
    """Returns this retriever over other parameters, compiled programs kept."""
    return self._like(_stepper=self._create_stepper(params))

  @property
  def _is_plain(self) -> bool:
    return self._mesh is None and self._other is None

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
    for batch in batches(tokens, longest=self.spec.input_length):
      inputs = self._vocabulary.pad(batch.rows, batch.length)
      yield batch.numbers, jax.device_get(self._search(inputs, num_beams))

  def _ids(self, queries: Sequence[str]) -> list[list[int]]:
    searcher.check_texts(queries)
    return self._vocabulary.encode(queries, max_length=self.spec.input_length)

  def _search(self, inputs: Int[np.ndarray, "B L"], num_beams: int) -> Beams:
    if self._other is not None:  # it knows the docids, and scores raw
      return self._other(self._stepper, inputs, num_beams=num_beams)
    search = _search
    if self._mesh is not None:
      search = functools.partial(on_mesh.search, mesh=self._mesh)
    return search(
      self._stepper,
      self._docids,
      inputs=inputs,
      num_beams=num_beams,
      scoring=self.spec.scoring,
    )

  def hits(self, beams: Beams, place: int, *, k: int) -> list[Hit]:
    """Expands the beams of one query to at most k documents.

    Args:
      beams: From `beams`.
      place: Of the query in its batch.
      k: Documents wanted.
    """
    return self._documents.hits(beams, place, k=k)


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
