"""A dual encoder as a searcher: a query's vector against all documents'."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from genret.core import text
from genret.core.collection import Collection, Query
from genret.core.docid_table import FIRST_SYMBOL, DocidTable
from genret.core.errors import ConfigError
from genret.core.runs import Hit
from genret.embeddings.store import EmbeddingStore
from genret.retrieval import dual_index, dual_spec, model_folder, searcher
from genret.retrieval.dense import Dense
from genret.retrieval.dual_index import Index
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.late_interaction import MaxSim
from genret.retrieval.muvera import Muvera
from genret.tasks.documents import Documents
from genret.tasks.pair_feed import padded_length

Ranked = tuple[np.ndarray, np.ndarray]
"""The k highest scores of each query, and the rows of these documents."""


class DualRetriever:
  """Searches a corpus by comparing vectors, exactly.

  Args:
    spec: Of the model.
    documents: Tokens of the documents.
    docnos: Their names.
    params: Of the encoder; None where `with_params` will give them.
    index: Folder that keeps the documents' vectors, which are then read a
      block at a time; None holds all of them in memory, four bytes a number of
      a document's vector or two of a token's.
    muvera: Encodings that choose candidates first; None ranks all documents.

  Raises:
    ConfigError: If encodings are asked of a model of one vector a text.
  """

  def __init__(
    self,
    spec: DualSpec,
    documents: Documents,
    docnos: Sequence[str],
    *,
    params: Any = None,
    index: Path | None = None,
    muvera: Muvera | None = None,
  ):
    if muvera and spec.scoring != "late":
      raise ConfigError(
        "MUVERA encodes the vectors of tokens that late interaction compares,"
        " and this model has one vector a text. Leave it away, or train with"
        " --scoring=late."
      )
    self.spec = spec
    self._documents = documents
    self._docnos = docnos
    self._params = params
    self._index = index
    self._muvera = muvera
    self._vocabulary = text.vocabulary(spec.model.input_vocabulary)

  @classmethod
  def load(
    cls,
    folder: str | Path,
    collection: Collection,
    *,
    checkpoint: str | int = "best",
    muvera: Muvera | None = None,
  ) -> "DualRetriever":
    """Loads a trained dual encoder; its index is made where it is missing.

    Args:
      folder: What `genret dual_encoder` wrote.
      collection: The documents that it was trained on.
      checkpoint: `best`, `newest`, or a step.
      muvera: As in the class.

    Raises:
      ArtifactError: If the folder is not whole.
      UserError: If the documents are others.
    """
    folder = Path(folder)
    spec = DualSpec.load(folder)
    spec.check_documents(folder, collection)
    step, params = model_folder.load_params(folder, spec, checkpoint)
    return cls(
      spec,
      read_documents(spec, collection),
      collection.docnos,
      params=jax.device_put(params),  # once, not with every batch
      index=folder / dual_spec.INDEX / str(step),
      muvera=muvera,
    )

  @functools.cached_property
  def table(self) -> DocidTable:
    """Documents as docids of one symbol: those that read the same share it."""
    codes = self._documents.numbers[:, None].astype(np.int32) + FIRST_SYMBOL
    return DocidTable(
      codes=codes,
      docnos=self._docnos,
      vocab_size=int(codes.max()) + 1,
      scheme=self.spec.scheme,
    )

  def with_params(self, params: Any) -> "DualRetriever":
    """Returns this retriever over other parameters, its index in memory."""
    return type(self)(
      self.spec,
      self._documents,
      self._docnos,
      params=params,
      muvera=self._muvera,
    )

  def run(
    self, queries: Sequence[Query], *, k: int, num_beams: int | None = None
  ) -> Mapping[str, list[Hit]]:
    """Ranks documents for the queries of a collection, as a run."""
    tokens = self._vocabulary.encode(
      [query.text for query in queries], max_length=self.spec.input_length
    )
    hits = self.search_tokens(tokens, k=k, num_beams=num_beams)
    return dict(zip((q.query_id for q in queries), hits, strict=True))

  def search_tokens(
    self,
    tokens: Sequence[Sequence[int]],
    *,
    k: int = 10,
    num_beams: int | None = None,
  ) -> list[list[Hit]]:
    """Ranks documents for texts that are ids already.

    Args:
      tokens: Ids of each, markers included.
      k: Documents wanted; fewer come back where fewer exist.
      num_beams: Not used: nothing is written, every document is looked at.

    Returns:
      For each text its hits, best first, with strictly decreasing scores.
    """
    del num_beams
    searcher.check_k(k)
    if not len(tokens):
      return []
    scores, rows = self._best(self._texts(tokens), k)
    return [
      searcher.hits(row, score, self._docnos)
      for row, score in zip(rows, scores, strict=True)
    ]

  def _texts(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns a vector a text, or one a token, filled up with zeros."""
    lengths = np.array([len(row) for row in tokens])

    def padded(members: np.ndarray, length: int) -> np.ndarray:
      return self._vocabulary.pad([tokens[i] for i in members], length)

    parts = dual_index.encoded(
      self.spec.module, self._params, lengths, padded=padded
    )
    if self.spec.scoring == "mean":
      members, vectors = map(np.concatenate, zip(*parts, strict=True))
      return vectors[np.argsort(members)]
    width = self.spec.dim or self.spec.model.emb_dim
    longest = padded_length(lengths.max())
    out = np.zeros((len(tokens), longest, width), np.float32)
    for members, vectors in parts:
      out[members, : vectors.shape[1]] = vectors
    return out

  @functools.cached_property
  def _best(self) -> Callable[[np.ndarray, int], Ranked]:
    """Opens what ranks documents, and makes its index where it is missing."""
    index = Index(
      spec=self.spec,
      params=self._params,
      documents=self._documents,
      folder=self._index,
    )
    if self.spec.scoring == "mean":
      dense = self._dense(index.vectors())
      return lambda queries, k: dense.best(queries, k=k)
    exact = MaxSim(index.tokens, seed=self.spec.tie_seed)
    muvera = self._muvera
    if muvera is None:
      return lambda queries, k: exact.best(queries, k=k)
    rough = self._dense(index.encodings(muvera), unit=False)

    def best(queries: np.ndarray, k: int) -> Ranked:
      wanted = max(k, muvera.candidates)
      _, rows = rough.best(muvera.queries(queries), k=wanted)
      return exact.rerank(queries, rows, k=k)

    return best

  def _dense(self, vectors: np.ndarray, *, unit: bool = True) -> Dense:
    store = EmbeddingStore(vectors=vectors, docnos=self._docnos)
    dense = Dense(_no_texts, seed=self.spec.tie_seed, unit=unit)
    return dense.fit(store)


def read_documents(spec: DualSpec, collection: Collection) -> Documents:
  """Tokenises what a dual encoder reads of each document."""
  return Documents.read(
    collection,
    vocabulary=spec.model.input_vocabulary,
    length=spec.document_length,
  )


def _no_texts(texts: Sequence[str]) -> np.ndarray:
  raise AssertionError(f"{len(texts)} texts came; vectors are given instead")
