"""Small collections in the layouts that are read, and all that a source has."""

import pytest


@pytest.fixture
def root(request, tmp_path):
  """A folder of the files that the test's module names in FILES."""
  folder = tmp_path / "toy"
  folder.mkdir()
  for name, content in request.module.FILES.items():
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
  return folder


@pytest.fixture
def everything():
  """Reads a source to its end: documents, queries, judgements by split."""

  def read(source):
    return (
      list(source.documents()),
      list(source.queries()),
      {split: list(stream()) for split, stream in source.qrels.items()},
    )

  return read
