"""A run that starts from embeddings: its head, its training, its refusals."""

import dataclasses
import functools

import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError
from genret.embeddings.store import EmbeddingStore
from genret.models import t5
from genret.models.t5 import T5Config
from genret.retrieval import model_folder
from genret.stages import first_params, train
from genret.tasks import mixtures
from genret.tasks.indexing import FirstP
from genret.training.checkpoints import Checkpoints
from genret.training.chunked import Chunked
from genret.training.dense_start import DenseStart
from genret.training.loop import LoopConfig
from genret.training.losses import Loss
from genret.training.optimizers import AdamW, Schedule

CONFIG = train.TrainConfig(
  model=T5Config(
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=16,
    num_encoder_layers=1,
    num_decoder_layers=1,
    dropout_rate=0.0,
  ),
  mixture=functools.partial(
    mixtures.build, tasks=[FirstP(rate=1.0, num_tokens=24)], input_length=25
  ),
  task_feature_lengths={"inputs": 32, "targets": 2},
  batch_size=8,
  optimizer=AdamW(
    schedule=Schedule(peak=1e-9, warmup_steps=0), weight_decay=0.0
  ),
  loss=Loss(head=Chunked(size=50)),
  loop=LoopConfig(train_steps=1, eval_every=1),
  dev=None,
  input_length=25,
  dense_start=DenseStart(norm=1.5),
)


def _embeddings(docnos) -> EmbeddingStore:
  rng = np.random.default_rng(0)
  vectors = rng.normal(size=(len(docnos), 12)).astype(np.float32)
  return EmbeddingStore(vectors=vectors, docnos=docnos)


def test_training_starts_from_embeddings(collection, make_docids, tmp_path):
  """After a step too small to be seen, the head is what it started as."""
  docids = make_docids("atomic")
  table = DocidTable.load(docids)
  store = _embeddings(table.docnos)
  out = train.run(
    CONFIG, collection, docids, out=tmp_path / "model", embeddings=store
  )
  checkpoints = Checkpoints(out / model_folder.CHECKPOINTS, measure=None)
  params = checkpoints.restore_params(1)
  checkpoints.close()
  columns = np.asarray(t5.head_kernel(params))[:, table.codes[:, 0]].T
  unit = store.vectors / np.linalg.norm(store.vectors, axis=1, keepdims=True)
  np.testing.assert_allclose(
    columns @ columns.T, 2.25 * unit @ unit.T, atol=1e-4
  )


def test_other_embeddings_are_another_run(collection, make_docids, tmp_path):
  docids = make_docids("atomic")
  recipe = functools.partial(
    train.run, CONFIG, collection, docids, out=tmp_path / "model"
  )
  table = DocidTable.load(docids)
  store = _embeddings(table.docnos)
  recipe(embeddings=store)
  other = dataclasses.replace(store, vectors=store.vectors * 2)
  with pytest.raises(UserError, match="embeddings"):
    recipe(embeddings=other)


def test_docids_of_several_symbols_have_no_column(make_docids):
  table = DocidTable.load(make_docids("naive"))
  with pytest.raises(ConfigError, match="only an atomic docid"):
    first_params.preparation(table, _embeddings(table.docnos), how=DenseStart())


def test_embeddings_of_other_documents_are_refused(make_docids):
  table = DocidTable.load(make_docids("atomic"))
  store = _embeddings([f"x{docno}" for docno in table.docnos])
  with pytest.raises(UserError, match="another collection"):
    first_params.preparation(table, store, how=DenseStart())


def test_without_embeddings_nothing_changes(make_docids):
  table = DocidTable.load(make_docids("naive"))
  params = {"decoder": {}}
  prepare = first_params.preparation(table, None, how=DenseStart())
  assert prepare(params) is params
