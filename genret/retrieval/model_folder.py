"""A model folder: what a trained retriever is made of, and how it is read.

    model.json      the T5's shape, docids, lengths, scoring (ModelSpec)
    docids/         the docid table
    trie/           the trie over it, memory-mapped
    checkpoints/    one folder a step
    runs/           TREC run files

Loading reads `model.json` and never gin.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from genret.core import artifacts
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.decoding.trie import Trie
from genret.models.t5 import T5Config
from genret.training.checkpoints import Checkpoints

FORMAT_VERSION = 1
MODEL = "model.json"
DOCIDS = "docids"
TRIE = "trie"
CHECKPOINTS = "checkpoints"
RUNS = "runs"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSpec:
  """What must be known of a model to search with it.

  Attributes:
    model: The T5's shape.
    num_symbols: V, the docid symbols, pad and EOS included.
    scheme: How the docids were made, for people.
    docids: SHA-256 of the docid codes the model was trained to write.
    input_length: Longest query in tokens, EOS included.
    scoring: `raw` or `renormalised` log-probabilities.
    dev_measure: The measure that chose the best checkpoint; None where no
      dev queries were to be had.
    tie_seed: Orders documents that share a docid.
  """

  model: T5Config
  num_symbols: int
  scheme: str
  docids: str
  input_length: int
  scoring: Literal["raw", "renormalised"] = "raw"
  dev_measure: str | None = "RR@10"
  tie_seed: int = 0

  def save(self, folder: Path) -> None:
    """Writes `model.json` into a model folder."""
    write_spec(Path(folder) / MODEL, self)

  @classmethod
  def load(cls, folder: Path) -> "ModelSpec":
    """Reads `model.json`.

    Raises:
      ArtifactError: If there is none, or it is damaged or of another format.
    """
    return read_spec(
      Path(folder) / MODEL,
      lambda fields: cls(
        model=T5Config.from_json(fields.pop("model")), **fields
      ),
      command="genret train",
    )


def write_spec(path: Path, spec: Any) -> None:
  """Writes what must be known of a model, a dataclass, as JSON."""
  fields: dict[str, Any] = dataclasses.asdict(spec)
  fields["format_version"] = FORMAT_VERSION
  artifacts.write_json(path, fields)


def read_spec(
  path: Path, make: Callable[[dict[str, Any]], Any], *, command: str
) -> Any:
  """Reads what `write_spec` wrote.

  Args:
    path: The file, in a model folder.
    make: From the fields to the dataclass.
    command: Which writes such folders.

  Raises:
    ArtifactError: If there is none, or it is damaged or of another format.
  """
  try:
    fields = artifacts.read_json(path)
    version = fields.pop("format_version")
    if version != FORMAT_VERSION:
      raise ArtifactError(
        f"{path} has format {version}; this genret reads {FORMAT_VERSION}."
      )
    return make(fields)
  except ArtifactError:
    raise
  except OSError as error:
    raise ArtifactError(
      f"{path.parent} is no model folder: {path.name} cannot be read"
      f" ({error.strerror}). Check the path, or run {command}."
    ) from error
  except (ValueError, TypeError, KeyError, AttributeError) as error:
    raise ArtifactError(f"{path} is damaged: {error}.") from error


def codes_hash(folder: Path) -> str:
  """Returns the hash of the codes of a saved docid table."""
  return artifacts.file_hash(Path(folder) / "codes.npy")


def load_docids(folder: Path, spec: ModelSpec) -> tuple[DocidTable, Trie]:
  """Loads the docids and the trie of a model folder.

  Raises:
    ArtifactError: If the docids are not those the model was trained on.
  """
  try:
    found = codes_hash(Path(folder) / DOCIDS)
  except OSError as error:
    raise ArtifactError(
      f"{folder}/{DOCIDS} holds no docids ({error.strerror}); the model folder"
      " is not whole. Copy it anew, or run genret train."
    ) from error
  if found != spec.docids:
    raise ArtifactError(
      f"{folder}/{DOCIDS} holds other docids ({found[:12]}…) than the model"
      f" was trained to write ({spec.docids[:12]}…)."
    )
  table = DocidTable.load(Path(folder) / DOCIDS)
  return table, Trie.load(Path(folder) / TRIE)


def load_params(
  folder: Path,
  spec: Any,
  checkpoint: str | int = "best",
  *,
  placements: Any = None,
) -> tuple[int, Any]:
  """Loads the parameters of one checkpoint.

  Args:
    folder: The model folder.
    spec: Its `model.json`, or whatever else says `dev_measure`.
    checkpoint: `best`, `newest`, or a step.
    placements: A tree of shardings; None for NumPy arrays.

  Returns:
    The step, and the parameter tree.

  Raises:
    ArtifactError: If there is no such checkpoint.
    ConfigError: If `checkpoint` is none of these.
  """
  path = Path(folder) / CHECKPOINTS
  if not path.is_dir():
    raise ArtifactError(
      f"{folder} has no {CHECKPOINTS}/ yet; train the model first."
    )
  checkpoints = Checkpoints(path, measure=spec.dev_measure, read_only=True)
  named = {"best": checkpoints.best, "newest": checkpoints.newest}
  if isinstance(checkpoint, str) and checkpoint not in named:
    raise ConfigError(
      f"checkpoint is {checkpoint!r}; expected 'best', 'newest' or a step."
    )
  step = named.get(checkpoint, checkpoint)
  if step is None:
    raise ArtifactError(f"{path} holds no whole checkpoint yet.")
  params = checkpoints.restore_params(step, placements)
  checkpoints.close()
  return step, params
