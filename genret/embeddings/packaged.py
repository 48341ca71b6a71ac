"""Files of weights that installed packages carry, found and held to a hash."""

import dataclasses
import hashlib
import importlib.util
from pathlib import Path

from genret.core.errors import ArtifactError, ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Packaged:
  """Numbers of a model that a package carries: what is known of them.

  Attributes:
    name: of the model and of the form its weights were in.
    sha256: of the file they were read from, hexadecimal.
    origin: the package and its version, or wherever the file came from.
    licence: of the weights, as an SPDX expression.
    trained_on: what the model has seen.
  """

  name: str
  sha256: str
  origin: str
  licence: str
  trained_on: str

  @property
  def identity(self) -> str:
    """What a manifest says of them."""
    return f"{self.name} sha256:{self.sha256}"

  @property
  def terms(self) -> str:
    """Where they are from, on whose terms, and what they have seen."""
    return f"{self.origin} ({self.licence}); trained on: {self.trained_on}"


def file(module: str, name: str, *, what: str, command: str) -> Path:
  """Finds a file of a package without importing the package.

  Args:
    module: the package's.
    name: of the file within it, with slashes.
    what: is in the file, for a message.
    command: installs the package.

  Raises:
    ConfigError: the package is not installed, or has no such file.
  """
  try:
    spec = importlib.util.find_spec(module)
  except ValueError:  # so find_spec says that sys.modules has None for it
    spec = None
  path = Path(spec.origin).parent / name if spec and spec.origin else None
  if path is None or not path.is_file():
    raise ConfigError(f"{what} are not installed. Run: {command}")
  return path


def read(path: Path, *, sha256: str) -> bytes:
  """Reads a file that has to be a certain one.

  Args:
    path: the file.
    sha256: of its bytes, hexadecimal.

  Raises:
    ArtifactError: it is another one.
  """
  data = path.read_bytes()
  found = hashlib.sha256(data).hexdigest()
  if found != sha256:
    raise ArtifactError(
      f"{path} is not the file that genret knows: its SHA-256 is {found}, and"
      f" {sha256} is expected. Install its package anew, in the version that"
      " genret's setup.py asks for."
    )
  return data


def missing_reader(
  error: ImportError, *, what: str, command: str
) -> ConfigError:
  """Returns the error to raise where a file is there and its reader is not."""
  return ConfigError(f"{what} need the package {error.name}. Run: {command}")
