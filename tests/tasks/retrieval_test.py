import pytest

from genret.core.errors import UserError
from genret.core.text import Tokenizer
from genret.tasks.retrieval import LabelledQueries

TOKENIZER = Tokenizer()


def read(config, collection):
  examples = config.examples(collection, TOKENIZER, input_length=64)
  inputs = [TOKENIZER.decode(examples[i]) for i in range(len(examples.lengths))]
  return list(zip(inputs, examples.documents.tolist(), strict=True))


def test_each_positive_is_an_example(small):
  assert read(LabelledQueries(rate=1.0), small) == [
    ("what is tall", 0),
    ("what spans the river", 2),
    ("what spans the river", 1),
  ]


def test_relevance_is_the_least_grade(small):
  found = read(LabelledQueries(rate=1.0, relevance=2), small)
  assert found == [("what spans the river", 2)]


def test_another_split(small):
  assert read(LabelledQueries(rate=1.0, split="dev"), small) == [
    ("what flows", 1)
  ]


def test_an_unknown_split_is_an_error(small):
  with pytest.raises(UserError, match="Did you mean 'dev'"):
    read(LabelledQueries(rate=1.0, split="dve"), small)


def test_all_training_questions_of_squad(squad):
  config = LabelledQueries(rate=1.0)
  examples = config.examples(squad, TOKENIZER, input_length=128)
  assert examples.num_examples == 7488
  assert examples.num_truncated == 0
