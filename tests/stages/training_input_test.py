import dataclasses
import functools

import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.stages import training_input
from genret.tasks import mixtures
from genret.tasks.host_tensorflow import seqio
from genret.tasks.retrieval import LabelledQueries

BUILD = functools.partial(
  mixtures.build, tasks=[LabelledQueries(rate=1.0)], input_length=32
)
WITH_BERT = T5Config(emb_dim=384, encoder=EncoderConfig())


@pytest.fixture
def table(make_docids):
  return DocidTable.load(make_docids("atomic"))


def test_a_function_is_called_with_the_models_vocabulary(collection, table):
  made = {
    name: training_input.mixture(BUILD, collection, table, model=model)
    for name, model in (("t5", T5Config()), ("bert_uncased", WITH_BERT))
  }
  assert made["t5"] is BUILD(collection, table)
  assert made["bert_uncased"] is BUILD(
    collection, table, vocabulary="bert_uncased"
  )


def test_a_function_of_ones_own_need_not_know_of_vocabularies(
  collection, table
):
  made = BUILD(collection, table)
  found = training_input.mixture(
    lambda collection, table: made, collection, table, model=T5Config()
  )
  assert found is made
  with pytest.raises(ConfigError, match="without a parameter `vocabulary`"):
    training_input.mixture(
      lambda collection, table: made, collection, table, model=WITH_BERT
    )


def test_texts_longer_than_an_encoder_knows_places_are_refused(
  collection, table
):
  encoder = dataclasses.replace(
    WITH_BERT.encoder, bert=BertConfig(max_positions=8)
  )
  model = dataclasses.replace(WITH_BERT, encoder=encoder)
  with pytest.raises(ConfigError, match="tokens, and the encoder knows 8"):
    training_input.mixture(BUILD, collection, table, model=model)


def test_a_mixture_in_another_vocabulary_is_refused(collection, table):
  made = BUILD(collection, table)
  for given in (made, made.name):
    assert (
      training_input.mixture(given, collection, table, model=T5Config())
      is given
    )
    with pytest.raises(ConfigError, match="reads the vocabulary 'bert_unc"):
      training_input.mixture(given, collection, table, model=WITH_BERT)
  assert isinstance(made, seqio.Mixture)


def test_what_is_trained_on_is_printed(collection, table, capsys):
  training_input.describe("of_seqio")
  assert "training on of_seqio" in capsys.readouterr().out
  training_input.describe(BUILD(collection, table))
  assert "labelled" in capsys.readouterr().out
