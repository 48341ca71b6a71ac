"""64 real passages with their questions, their vectors and their docids."""

import functools
import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from genret.core import artifacts
from genret.core.collection import FORMAT_VERSION, Collection, write
from genret.core.docid_table import DocidTable
from genret.corpora import embedded
from genret.docids import atomic, naive, positional, semantic
from genret.embeddings import store
from genret.models.t5 import T5Config
from genret.retrieval import dual_spec, model_folder
from genret.retrieval.dual_spec import DualSpec
from genret.stages import docids, dual_config, train, train_config, trained
from genret.stages.docids import DocidsConfig
from genret.stages.hard_negatives import HardNegatives
from genret.training.checkpoints import Checkpoints
from genret.training.contrastive import Contrast
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW
from genret.training.partitioning import MeshShape
from genret.training.step import Program

NUM_DOCUMENTS = 64
NUM_JUDGED = 8  # queries of dev and of test: one batch of a search
SCHEMES = {
  "atomic": atomic.fit,
  "naive": naive.fit,
  "semantic": functools.partial(semantic.fit, k=8, leaf_size=16),
}
SCHEMES["semantic_2d"] = functools.partial(
  positional.fit, scheme=SCHEMES["semantic"]
)


@pytest.fixture(scope="session")
def collection(tmp_path_factory) -> Collection:
  """Every 30th passage of squad, so that articles differ."""
  squad = embedded.squad()
  documents = list(itertools.islice(squad.documents(), 0, None, 30))
  documents = documents[:NUM_DOCUMENTS]
  qrels = {
    "train": _judged(squad, "train", documents, limit=None),
    "dev": _judged(squad, "dev", documents, limit=NUM_JUDGED),
    "test": _judged(squad, "test", documents, limit=NUM_JUDGED),
  }
  asked = set().union(*qrels.values())
  root = tmp_path_factory.mktemp("squad-64") / "collection"
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "squad-64"},
    format_version=FORMAT_VERSION,
  )
  with artifacts.building(root, recipe) as folder:
    write(
      folder,
      documents=documents,
      queries=[q for q in squad.queries() if q.query_id in asked],
      qrels=qrels,
    )
  return Collection.open(root)


def _judged(squad, split, documents, *, limit) -> dict[str, dict[str, int]]:
  docnos = {document.docno for document in documents}
  found = (j for j in squad.qrels[split]() if j.docno in docnos)
  return {
    j.query_id: {j.docno: j.grade} for j in itertools.islice(found, limit)
  }


@pytest.fixture(scope="session")
def vectors_file(collection, tmp_path_factory) -> Path:
  docnos = [document.docno for document in embedded.squad().documents()]
  rows = [docnos.index(docno) for docno in collection.docnos]
  path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
  np.save(path, np.asarray(store.squad(docnos).vectors)[rows])
  return path


@pytest.fixture(scope="session")
def make_docids(collection, vectors_file, tmp_path_factory):
  """Returns the function from the name of a scheme to a docids artifact."""

  @functools.cache
  def make(scheme: str) -> Path:
    out = tmp_path_factory.mktemp("docids") / scheme
    vectors = None
    if scheme.startswith("semantic"):
      docnos = collection.docnos
      vectors = store.EmbeddingStore(
        vectors=store.open_npy(vectors_file, docnos), docnos=docnos
      )
    config = DocidsConfig(scheme=SCHEMES[scheme])
    docids.run(config, collection, vectors, out=out)
    return out

  return make


@pytest.fixture(scope="session")
def untrained(collection, make_docids, tmp_path_factory):
  """Returns the function from a scheme to a model folder of no steps.

  All is as `genret train` leaves it, but that its weights are random.
  """

  @functools.cache
  def make(scheme: str) -> Path:
    config = train.TrainConfig(
      model=T5Config(
        emb_dim=16,
        num_heads=2,
        head_dim=8,
        mlp_dim=32,
        num_encoder_layers=1,
        num_decoder_layers=1,
      ),
      mixture="m",
      task_feature_lengths={"inputs": 32, "targets": 16},
      batch_size=4,
      optimizer=AdamW(),
      loop=LoopConfig(train_steps=3),
      dev=None,
      input_length=16,
    )
    out = tmp_path_factory.mktemp("untrained") / scheme
    table = DocidTable.load(make_docids(scheme))
    spec = train._spec(config, table, make_docids(scheme))
    recipe = train_config.recipe(config, mixture="m", inputs={})
    artifacts.begin(out, recipe)
    train._lay_out(
      spec, table, out, docids=make_docids(scheme), text=train.NO_TEXT
    )
    program = train._program(config, spec, MeshShape().build())
    files = trained.identifying_files(out)
    _finish(out, program, recipe, files=files)
    return out

  return make


@pytest.fixture(scope="session")
def untrained_dual(collection, tmp_path_factory):
  """Returns the function from a scoring to a dual encoder of no steps.

  All is as `genret dual_encoder` leaves it, but that its weights are random.
  """

  @functools.cache
  def make(scoring: str) -> Path:
    config = dual_config.TrainConfig(
      model=T5Config(
        emb_dim=16, num_heads=2, head_dim=8, mlp_dim=32, num_encoder_layers=1
      ),
      mixture="m",
      scoring=scoring,
      dim=8,
      negatives=HardNegatives(count=1),
      batch_size=4,
      optimizer=AdamW(),
      loop=LoopConfig(train_steps=3),
      dev=None,
      input_length=16,
      document_length=32,
    )
    out = tmp_path_factory.mktemp("untrained") / scoring
    spec = DualSpec(
      model=config.model,
      scoring=scoring,
      dim=config.dim,
      temperature=0.05,
      input_length=config.input_length,
      document_length=config.document_length,
      docnos=collection.docnos.checksum,
      dev_measure=None,
    )
    recipe = dual_config.recipe(config, mixture="m", inputs={})
    artifacts.begin(out, recipe)
    spec.save(out)
    program = Program(
      model=spec.module,
      num_symbols=0,
      optimizer=config.optimizer.build(3),
      loss=Contrast(),
      seed=0,
      mesh=MeshShape().build(),
    )
    _finish(out, program, recipe, files=[dual_spec.SPEC, trained.RESULT])
    return out

  return make


def _finish(out, program, recipe, *, files) -> None:
  """Keeps a state of three steps and says that it is the last."""
  checkpoints = Checkpoints(out / model_folder.CHECKPOINTS, measure=None)
  state = program.init_state()
  state = state.replace(step=state.step + 3)
  checkpoints.save(state, position={}, metrics={})
  checkpoints.wait()
  trained.write_result(out, checkpoints)
  checkpoints.close()
  artifacts.seal(out, recipe, files=files, started=time.time() - 60)
