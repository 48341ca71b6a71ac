"""A model folder of a tiny T5, as training leaves one, for 12 documents."""

from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from genret.core.docid_table import DocidTable
from genret.decoding.trie import Trie
from genret.models.t5 import T5, T5Config
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.training.checkpoints import Checkpoints
from genret.training.losses import Loss
from genret.training.partitioning import MeshShape
from genret.training.step import Program

VOCAB_SIZE = 6
# Documents 1, 3, 6, 10 and 11 share a docid; docids have two lengths.
CODES = np.array(
  [
    [2, 1, 0],
    [3, 2, 1],
    [3, 3, 1],
    [3, 2, 1],
    [4, 2, 1],
    [4, 3, 1],
    [3, 2, 1],
    [5, 1, 0],
    [5, 2, 1],
    [4, 4, 1],
    [3, 2, 1],
    [3, 2, 1],
  ]
)
# Step -> what its parameters are multiplied by, and its dev measure.
STATES = {1: (1.0, 0.9), 2: (1.1, 0.3), 3: (1.2, 0.5)}


@pytest.fixture(scope="session")
def docid_table() -> DocidTable:
  return DocidTable(
    codes=CODES,
    docnos=[f"d{i}" for i in range(len(CODES))],
    vocab_size=VOCAB_SIZE,
    scheme="example",
  )


@pytest.fixture(scope="session")
def model(docid_table, tmp_path_factory) -> Path:
  """The folder; its best checkpoint is step 1 and its newest step 3."""
  folder = tmp_path_factory.mktemp("model") / "model"
  docid_table.save(folder / model_folder.DOCIDS)
  trie = Trie.build(docid_table.codes, VOCAB_SIZE)
  trie.save(folder / model_folder.TRIE)
  spec = ModelSpec(
    model=T5Config(
      emb_dim=16,
      num_heads=2,
      head_dim=8,
      mlp_dim=32,
      num_encoder_layers=1,
      num_decoder_layers=1,
      docid_vocab_size=VOCAB_SIZE,
      docid_length=docid_table.length,
    ),
    num_symbols=VOCAB_SIZE,
    scheme="example",
    docids=model_folder.codes_hash(folder / model_folder.DOCIDS),
    input_length=32,
  )
  spec.save(folder)
  _save_checkpoints(folder / model_folder.CHECKPOINTS, spec)
  return folder


def _save_checkpoints(folder: Path, spec: ModelSpec) -> None:
  state = Program(
    model=T5(spec.model),
    num_symbols=VOCAB_SIZE,
    optimizer=optax.sgd(0.1),
    loss=Loss(),
    seed=3,
    mesh=MeshShape().build(),
  ).init_state()
  checkpoints = Checkpoints(folder, measure=spec.dev_measure)
  for step, (factor, value) in STATES.items():
    scaled = state.replace(
      step=state.step + step,
      params=jax.tree.map(lambda leaf, by=factor: leaf * by, state.params),
    )
    checkpoints.save(scaled, position={}, metrics={spec.dev_measure: value})
  checkpoints.close()


@pytest.fixture(scope="session")
def retriever(model) -> Retriever:
  return Retriever.load(model)
