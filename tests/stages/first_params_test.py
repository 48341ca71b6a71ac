"""What a run starts from: the head, the encoder, words; and what is refused."""

import dataclasses
import functools
import itertools

import jax
import numpy as np
import pytest

from genret.core import artifacts, text
from genret.core.collection import FORMAT_VERSION, Collection, write
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError
from genret.corpora import embedded
from genret.docids import atomic
from genret.embeddings import encoder, minilm, store
from genret.embeddings.bert import BertConfig
from genret.embeddings.minilm import PretrainedEncoder
from genret.embeddings.pieces import PieceVectors
from genret.embeddings.store import EmbeddingStore
from genret.models import t5
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5, T5Config
from genret.retrieval import model_folder
from genret.stages import docids, train
from genret.stages.docids import DocidsConfig
from genret.stages.first_params import Start
from genret.tasks import mixtures
from genret.tasks.indexing import FirstP
from genret.training.checkpoints import Checkpoints
from genret.training.chunked import Chunked
from genret.training.dense_start import DenseStart
from genret.training.lexical_start import LexicalStart
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


def _start(collection, docids, model=CONFIG.model, **given):
  table = DocidTable.load(docids)
  model = dataclasses.replace(
    model, docid_vocab_size=table.vocab_size, docid_length=table.length
  )
  return Start(model=model, collection=collection, table=table, **given)


def _fresh(start):
  ids = np.ones((1, 2), np.int32)
  model = T5(start.model)
  return jax.jit(lambda key: model.init(key, ids, ids)["params"])(
    jax.random.key(0)
  )


def _numbers(tree):
  return jax.tree.map(np.array, tree)


def test_docids_of_several_symbols_have_no_column(collection, make_docids):
  store = _embeddings(collection.docnos)
  with pytest.raises(ConfigError, match="only an atomic docid"):
    _start(collection, make_docids("naive"), embeddings=store)


def test_embeddings_of_other_documents_are_refused(collection, make_docids):
  store = _embeddings([f"x{docno}" for docno in collection.docnos])
  with pytest.raises(UserError, match="another collection"):
    _start(collection, make_docids("atomic"), embeddings=store)


def test_without_anything_given_nothing_changes(collection, make_docids):
  start = _start(collection, make_docids("naive"))
  params = {"decoder": {}}
  assert start.prepare(params) is params
  assert start.inputs == {}


BERT = BertConfig(
  emb_dim=12, num_layers=2, num_heads=2, mlp_dim=16, max_positions=64
)
WITH_BERT = dataclasses.replace(
  CONFIG.model,
  emb_dim=16,
  encoder=EncoderConfig(bert=BERT, lexical_dim=4),
)


def _weights(config=BERT, seed=5):
  """Weights that nobody trained, in the form of those that somebody did."""
  shape = dataclasses.replace(
    WITH_BERT,
    emb_dim=config.emb_dim,
    encoder=EncoderConfig(bert=config),
    docid_vocab_size=9,
    docid_length=1,
  )
  ids = np.ones((1, 2), np.int32)
  params = T5(shape).init(jax.random.key(seed), ids, ids)["params"]
  return PretrainedEncoder(
    name="small BERT",
    config=config,
    params=_numbers(params["encoder"]["bert"]),
    sha256="12ab",
    origin="a test",
    licence="CC0-1.0",
    trained_on="nothing",
  )


def test_an_encoder_starts_from_its_weights(collection, make_docids, capsys):
  weights = _weights()
  start = _start(collection, make_docids("naive"), WITH_BERT, encoder=weights)
  fresh = _fresh(start)
  before = _numbers(fresh)
  after = _numbers(start.prepare(fresh))
  jax.tree.map(
    np.testing.assert_array_equal, after["encoder"]["bert"], weights.params
  )
  after["encoder"]["bert"] = before["encoder"]["bert"]
  jax.tree.map(np.testing.assert_array_equal, after, before)
  assert start.inputs == {"encoder_weights": "small BERT sha256:12ab"}
  said = capsys.readouterr().out
  assert "small BERT from a test (CC0-1.0); trained on: nothing" in said


def test_an_encoder_may_start_at_random_and_it_is_said(
  collection, make_docids, capsys
):
  start = _start(collection, make_docids("naive"), WITH_BERT)
  assert start.prepare({"encoder": {}}) == {"encoder": {}}
  assert "the encoder starts at random" in capsys.readouterr().out


def test_weights_of_another_shape_are_refused(collection, make_docids):
  docids = make_docids("naive")
  other = _weights(dataclasses.replace(BERT, num_layers=1, mlp_dim=1536))
  with pytest.raises(ConfigError) as caught:
    _start(collection, docids, WITH_BERT, encoder=other)
  assert "num_layers is 2 there and 1 in small BERT" in str(caught.value)
  assert "mlp_dim is 16 there and 1,536 in small BERT" in str(caught.value)
  with pytest.raises(ConfigError, match="set T5Config.encoder"):
    _start(collection, docids, encoder=_weights())


def _pieces(dim=6):
  rng = np.random.default_rng(0)
  return PieceVectors(
    name="some words",
    ids=np.arange(3, 103, dtype=np.int32),
    vectors=rng.normal(size=(100, dim)).astype(np.float32),
    num_pieces=32_000,
    sha256="34cd",
    origin="a test",
    licence="CC0-1.0",
    trained_on="nothing",
  )


def test_the_text_embedding_starts_from_pieces(collection, make_docids, capsys):
  model = dataclasses.replace(CONFIG.model, embedding_init_stddev=0.2)
  start = _start(collection, make_docids("naive"), model, pieces=_pieces())
  fresh = _fresh(start)
  before = _numbers(fresh)
  after = _numbers(start.prepare(fresh))
  rows = after["token_embedder"]["embedding"]
  assert rows[3:103].std() == pytest.approx(0.2, rel=1e-4)
  rows[3:103] = before["token_embedder"]["embedding"][3:103]
  jax.tree.map(np.testing.assert_array_equal, after, before)
  assert start.inputs == {"input_embeddings": "some words sha256:34cd"}
  assert "100 of 32,000 pieces start from some" in capsys.readouterr().out


def test_pieces_are_refused_where_none_are_read(collection, make_docids):
  with pytest.raises(ConfigError, match="reads 'bert_uncased'"):
    _start(collection, make_docids("naive"), WITH_BERT, pieces=_pieces())


def test_a_head_starts_from_meaning_and_words(collection, make_docids):
  """Embeddings in the first rows, the bag of a document's words below."""
  start = _start(
    collection,
    make_docids("atomic"),
    WITH_BERT,
    embeddings=_embeddings(collection.docnos),
    dense=DenseStart(norm=1.5, projection="none"),
    lexical=LexicalStart(norm=3.0, num_tokens=32),
  )
  after = _numbers(start.prepare(_fresh(start)))
  columns = t5.head_kernel(after)[:, start.table.codes[:, 0]].T
  unit = start.embeddings.vectors / np.linalg.norm(
    start.embeddings.vectors, axis=1, keepdims=True
  )
  np.testing.assert_allclose(columns[:, :12], 1.5 * unit, atol=1e-5)
  np.testing.assert_allclose(
    np.linalg.norm(columns[:, 12:], axis=1), 3.0, rtol=1e-5
  )
  words = after["encoder"]["lexical"]["embedding"]
  vocabulary = text.vocabulary("bert_uncased")
  for row, document in enumerate(collection.documents()):
    (ids,) = vocabulary.encode([document.contents], max_length=32, eos=False)
    bag = words[sorted(set(ids))].sum(0)
    bag *= 3 / np.linalg.norm(bag)
    np.testing.assert_allclose(columns[row, 12:], bag, atol=1e-4)
  assert not words[[0, 101, 102]].any()  # markers are in no document


def test_lexical_vectors_start_whatever_the_docids_are(collection, make_docids):
  start = _start(
    collection, make_docids("naive"), WITH_BERT, lexical=LexicalStart()
  )
  fresh = _fresh(start)
  before = _numbers(fresh)
  after = _numbers(start.prepare(fresh))
  words = after["encoder"].pop("lexical")["embedding"]
  random = before["encoder"].pop("lexical")["embedding"]
  jax.tree.map(np.testing.assert_array_equal, after, before)
  assert np.abs(words - random).max() > 0.1


def test_a_lexical_start_needs_room(collection, make_docids):
  docids, how = make_docids("atomic"), LexicalStart()
  with pytest.raises(ConfigError, match="EncoderConfig.lexical_dim"):
    _start(collection, docids, lexical=how)
  store = _embeddings(collection.docnos)
  with pytest.raises(ConfigError, match="projection = 'none', not 'pca'"):
    _start(collection, docids, WITH_BERT, lexical=how, embeddings=store)


@pytest.mark.parametrize(
  ("name", "given"),
  [
    ("encoder_weights", {"encoder": "weights"}),
    ("input_embeddings", {"pieces": "vectors"}),
    ("lexical_start", {"lexical": LexicalStart()}),
  ],
)
def test_a_checkpoint_has_these_already(name, given, collection, make_docids):
  with pytest.raises(ConfigError, match=f"{name} and .*initial_checkpoint"):
    _start(
      collection, make_docids("naive"), WITH_BERT, initial="folder", **given
    )


@pytest.fixture(scope="module")
def squad(tmp_path_factory):
  """All of squad's passages, 128 of its dev questions, and their docids."""
  source = embedded.squad()
  judged = list(itertools.islice(source.qrels["dev"](), 0, None, 4))[:128]
  asked = {judgement.query_id for judgement in judged}
  root = tmp_path_factory.mktemp("squad")
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "squad"},
    format_version=FORMAT_VERSION,
  )
  with artifacts.building(root / "collection", recipe) as folder:
    write(
      folder,
      documents=source.documents(),
      queries=[q for q in source.queries() if q.query_id in asked],
      qrels={"dev": {j.query_id: {j.docno: j.grade} for j in judged}},
    )
  collection = Collection.open(root / "collection")
  config = DocidsConfig(scheme=atomic.fit)
  docids.run(config, collection, None, out=root / "docids")
  return collection, root / "docids"


@pytest.mark.slow
def test_an_untrained_model_ranks_as_dense_search_and_better_with_words(squad):
  """R@10 of MiniLM's own dense search on these questions, before any step."""
  collection, folder = squad
  queries = {q.query_id: q.text for q in collection.queries("dev")}
  qrels = collection.qrels("dev")
  rows = {docno: row for row, docno in enumerate(collection.docnos)}
  truth = np.array([rows[next(iter(qrels[q]))] for q in queries])
  weights, vectors = minilm.int8(), store.squad(list(collection.docnos))
  model = T5Config(
    emb_dim=640,
    num_heads=10,
    head_dim=64,
    mlp_dim=16,
    num_decoder_layers=1,
    dropout_rate=0.0,
    docid_embedding_init_stddev=1e-3,
    residual_init_scale=1e-3,
    cross_query_init_scale=1e-3,
    cross_copies_at_init=True,
    encoder=EncoderConfig(lexical_dim=256),
  )
  vocabulary = text.vocabulary("bert_uncased")
  tokens = vocabulary.encode(list(queries.values()), max_length=48)
  tokens = vocabulary.pad(tokens, 48)

  def recall(scores):
    own = scores[np.arange(len(truth)), truth][:, None]
    return ((scores > own).sum(1) < 10).mean()

  @functools.partial(jax.jit, static_argnums=0)
  def scores(config, params):
    begin = np.zeros((len(tokens), 1), np.int32)
    return T5(config).apply({"params": params}, tokens, begin)

  def untrained(norm):
    start = _start(
      collection,
      folder,
      model,
      encoder=weights,
      embeddings=vectors,
      dense=DenseStart(projection="none"),
      lexical=LexicalStart(norm=norm),
    )
    params = start.prepare(_fresh(start))
    logits = scores(start.model, params)
    return np.asarray(logits)[:, 0, start.table.codes[:, 0]]

  encode = encoder.minilm(max_length=48, weights=minilm.int8)
  dense = recall(encode(list(queries.values())) @ vectors.vectors.T)
  assert dense > 0.85
  assert recall(untrained(1e-3)) == pytest.approx(dense, abs=0.02)
  assert recall(untrained(2.0)) > dense
