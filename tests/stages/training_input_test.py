import functools

import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.stages import training_input
from genret.tasks import mixtures
from genret.tasks.host_tensorflow import seqio
from genret.tasks.retrieval import LabelledQueries

BUILD = functools.partial(
  mixtures.build, tasks=[LabelledQueries(rate=1.0)], input_length=32
)


@pytest.fixture
def table(make_docids):
  return DocidTable.load(make_docids("atomic"))


def test_a_function_is_called_with_the_models_vocabulary(collection, table):
  made = {
    name: training_input.mixture(BUILD, collection, table, vocabulary=name)
    for name in ("t5", "bert_uncased")
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
    lambda collection, table: made, collection, table, vocabulary="t5"
  )
  assert found is made


def test_a_mixture_in_another_vocabulary_is_refused(collection, table):
  made = BUILD(collection, table)
  for given in (made, made.name):
    assert (
      training_input.mixture(given, collection, table, vocabulary="t5") is given
    )
    with pytest.raises(ConfigError, match="reads the vocabulary 'bert_unc"):
      training_input.mixture(
        given, collection, table, vocabulary="bert_uncased"
      )
  assert isinstance(made, seqio.Mixture)


def test_what_is_trained_on_is_printed(collection, table, capsys):
  training_input.describe("of_seqio")
  assert "training on of_seqio" in capsys.readouterr().out
  training_input.describe(BUILD(collection, table))
  assert "labelled" in capsys.readouterr().out
