from genret.core.errors import (
  ArtifactError,
  ConfigError,
  DataError,
  UserError,
  suggest,
)


def test_data_error_opens_with_file_and_line():
  error = DataError("broken JSON", path="corpus.jsonl", line=17)
  assert str(error) == "corpus.jsonl:17: broken JSON"
  assert (error.path, error.line) == ("corpus.jsonl", 17)


def test_data_error_about_a_whole_file():
  assert str(DataError("is empty", path="a.tsv")) == "a.tsv: is empty"


def test_every_error_is_a_user_error_and_a_value_error():
  for kind in (ArtifactError, ConfigError, DataError):
    assert issubclass(kind, UserError)
  assert issubclass(UserError, ValueError)


def test_suggest_takes_any_iterable_once():
  assert suggest("atomc", iter(["naive", "atomic"])).endswith("'atomic'?")
