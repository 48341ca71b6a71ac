"""What a run of training starts from, where that is not all chance."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from genret.core import text
from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.embeddings.minilm import PretrainedEncoder
from genret.embeddings.pieces import PieceVectors
from genret.embeddings.store import EmbeddingStore
from genret.models import t5
from genret.models.t5 import T5Config
from genret.stages import initial_weights
from genret.stages.initial_weights import InitialWeights
from genret.training import cluster, dense_start, lexical_start, piece_start
from genret.training.dense_start import DenseStart
from genret.training.lexical_start import Bags, LexicalStart


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Start:
  """What takes the place of chance in fresh parameters.

  Attributes:
    model: Of the run.
    collection: What is indexed.
    table: Its docids; None for a model that has no head.
    initial: Weights of the whole model.
    encoder: Weights of the model's sentence encoder.
    pieces: Vectors for the text embedding.
    embeddings: Of the documents, for the columns of atomic docids.
    dense: How these columns are made of them.
    lexical: How lexical vectors, and their rows of these columns, start.

  Raises:
    ConfigError: If the model has no place for what is given, or one of
      another shape.
    UserError: If the embeddings are of other documents.
  """

  model: T5Config
  collection: Collection
  table: DocidTable | None
  initial: InitialWeights | None = None
  encoder: PretrainedEncoder | None = None
  pieces: PieceVectors | None = None
  embeddings: EmbeddingStore | None = None
  dense: DenseStart = DenseStart()
  lexical: LexicalStart | None = None

  def __post_init__(self):
    if self.initial:
      self._refuse_beside_initial()
    if self.encoder:
      _check_encoder(self.model, self.encoder)
    if self.pieces and self.model.encoder:
      raise ConfigError(
        "TrainConfig.input_embeddings are of T5's pieces, and this model reads"
        f" {self.model.input_vocabulary!r}: its encoder has a word embedding of"
        " its own. Leave them away, or take a model without T5Config.encoder."
      )
    if self.lexical and not self._lexical_dim:
      raise ConfigError(
        "TrainConfig.lexical_start is given, and the model has no lexical"
        " vectors: set EncoderConfig.lexical_dim, or leave it away."
      )
    if self.embeddings:
      self._check_embeddings(self.embeddings)

  @property
  def inputs(self) -> dict[str, str]:
    """Name in the manifest -> identity, of what is given."""
    given = {
      "embeddings": self.embeddings,
      "encoder_weights": self.encoder,
      "initial_checkpoint": self.initial,
      "input_embeddings": self.pieces,
    }
    return {name: it.identity for name, it in given.items() if it}

  def check(self, out: Path) -> None:
    """Refuses weights that do not fit, unless a run in `out` goes on."""
    if self.initial:
      self.initial.check(out)

  def prepare(self, params: Any) -> Any:
    """Turns fresh parameters, which it consumes, into those to start from."""
    self._announce()
    if self.initial:
      params = self.initial.prepare(params)
    if self.encoder:
      params = self._with_encoder(params)
    if self.pieces:
      params = self._with_pieces(params)
    if self.embeddings:
      kernel = dense_start.start(
        t5.head_kernel(params),
        self.table.codes[:, 0],
        self.embeddings.vectors,
        how=self.dense,
      )
      params = t5.with_head_kernel(params, kernel)
    return self._with_lexical(params) if self.lexical else params

  @property
  def _lexical_dim(self) -> int:
    return self.model.encoder.lexical_dim if self.model.encoder else 0

  def _announce(self) -> None:
    """Says what other models' numbers are taken, and what they have seen."""
    if not cluster.is_first():
      return
    if self.encoder:
      print(f"the encoder starts from {self.encoder.provenance}")
    elif self.model.encoder and not self.initial:
      frozen = self.model.encoder.frozen_below is not None
      print(
        "the encoder starts at random: no TrainConfig.encoder_weights"
        + (", and what is frozen of it stays so" if frozen else "")
      )
    if self.pieces:
      print(self.pieces.provenance)

  def _refuse_beside_initial(self) -> None:
    for name, given in (
      ("encoder_weights", self.encoder),
      ("input_embeddings", self.pieces),
      ("lexical_start", self.lexical),
    ):
      if given:
        raise ConfigError(
          f"TrainConfig.{name} and TrainConfig.initial_checkpoint are both"
          " given, and the checkpoint has these parameters already: leave one"
          " of the two away."
        )

  def _check_embeddings(self, embeddings: EmbeddingStore) -> None:
    if self.table.length != 1:
      raise ConfigError(
        "Embeddings were given to start from, but"
        f" {self.table.scheme} docids have {self.table.length} symbols: only"
        " an atomic docid has a column of the head to itself. Leave the"
        " embeddings away, or make atomic docids."
      )
    vectors = embeddings.aligned(self.table.docnos)
    width = self.model.emb_dim - self._lexical_dim
    if self.lexical and (
      self.dense.projection != "none" or vectors.shape[1] > width
    ):
      raise ConfigError(
        f"the head's first {width} rows are for embeddings as they are, and"
        " those below for words: beside TrainConfig.lexical_start set"
        f" DenseStart.projection = 'none', not {self.dense.projection!r}, and"
        f" give embeddings of at most {width} numbers, not"
        f" {vectors.shape[1]}."
      )

  def _with_encoder(self, params: Any) -> Any:
    path = ("encoder", "bert")
    placed = jax.tree.map(
      lambda array, fresh: initial_weights.placed(lambda: array, fresh),
      self.encoder.params,
      _at(params, path),
    )
    return _replaced(params, path, placed)

  def _with_pieces(self, params: Any) -> Any:
    path = ("token_embedder", "embedding")
    started = piece_start.start(
      _at(params, path),
      self.pieces.ids,
      self.pieces.vectors,
      stddev=self.model.embedding_init_stddev,
    )
    return _replaced(params, path, started)

  def _with_lexical(self, params: Any) -> Any:
    encoder, how = self.model.encoder, self.lexical
    bags = Bags.of(
      (document.contents for document in self.collection.documents()),
      text.vocabulary(encoder.vocabulary),
      num_tokens=how.num_tokens,
      total=self.collection.num_documents,
    )
    table = lexical_start.vectors(
      bags,
      encoder.lexical_dim,
      stddev=encoder.lexical_init_stddev,
      seed=how.seed,
    )
    path = ("encoder", "lexical", "embedding")
    placed = initial_weights.placed(lambda: table, _at(params, path))
    params = _replaced(params, path, placed)
    if self.table is None or self.table.length != 1:
      return params
    kernel = lexical_start.start(
      t5.head_kernel(params),
      self.table.codes[:, 0],
      bags,
      table=table,
      how=how,
    )
    return t5.with_head_kernel(params, kernel)


def _check_encoder(model: T5Config, weights: PretrainedEncoder) -> None:
  if model.encoder is None:
    raise ConfigError(
      "TrainConfig.encoder_weights are given, and the model has T5's own"
      " encoder: set T5Config.encoder, as --gin_file=models/minilm_t5.gin"
      " does, or leave them away."
    )
  differing = [
    f"{field.name} is {ours:,} there and {theirs:,} in {weights.name}"
    for field in dataclasses.fields(weights.config)
    if (ours := getattr(model.encoder.bert, field.name))
    != (theirs := getattr(weights.config, field.name))
  ]
  if differing:
    raise ConfigError(
      "T5Config.encoder.bert is not the shape of the weights:"
      f" {'; '.join(differing)}."
    )


def _at(params: Mapping[str, Any], path: tuple[str, ...]) -> Any:
  for name in path:
    params = params[name]
  return params


def _replaced(
  params: Mapping[str, Any], path: tuple[str, ...], value: Any
) -> Any:
  """Returns a tree with another part at a path."""
  if not path:
    return value
  name, *rest = path
  return {**params, name: _replaced(params[name], tuple(rest), value)}
