"""Artifacts: folders that say what they hold, whole or not there at all.

An artifact is a folder with its data, `manifest.json` and `provenance.json`.
The manifest is what identifies it; the provenance tells how, when and where
it came to be and is no part of its identity. A folder is filled under a
temporary name beside its final one, flushed to disk and renamed, so that
whatever happens on the way, the final name never bears half of it.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from genret.core import atomic
from genret.core.errors import ArtifactError
from genret.core.provenance import canonical, provenance

MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"
RECIPE = "recipe.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """What a stage intends to make.

  Attributes:
    stage: the stage's name.
    arguments: its settings, without paths and devices. Callables become
      their dotted names, tuples lists, dataclasses mappings.
    seed: its seed, or None where nothing is drawn.
    inputs: name of each input -> identity.
    format_version: of the files the stage writes.
  """

  stage: str
  arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  seed: int | None = None
  inputs: Mapping[str, str] = dataclasses.field(default_factory=dict)
  format_version: int = 1

  def __post_init__(self):
    object.__setattr__(self, "arguments", canonical(self.arguments))
    object.__setattr__(self, "inputs", canonical(self.inputs))

  @property
  def key(self) -> str:
    """Sixteen digits that name where work on it is kept."""
    text = json.dumps(dataclasses.asdict(self), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest(Recipe):
  """What a stage has made: its recipe and the hash of every file.

  Attributes:
    files: path within the folder, with slashes -> SHA-256, hexadecimal.
  """

  files: Mapping[str, str] = dataclasses.field(default_factory=dict)

  @property
  def text(self) -> str:
    """The canonical JSON, which is what manifest.json holds."""
    return _json(dataclasses.asdict(self))

  @property
  def identity(self) -> str:
    """SHA-256 of the canonical JSON: what sha256sum says of the file."""
    return hashlib.sha256(self.text.encode()).hexdigest()

  @property
  def recipe(self) -> Recipe:
    """The manifest without its files."""
    fields = dataclasses.fields(Recipe)
    return Recipe(**{f.name: getattr(self, f.name) for f in fields})


def existing(folder: Path, recipe: Recipe) -> Manifest | None:
  """Tells whether a folder already holds what a recipe would make.

  Args:
    folder: where the artifact would stand.
    recipe: what the caller is about to make.

  Returns:
    The manifest when this very recipe is finished there; None when nothing
    is there.

  Raises:
    ArtifactError: the folder holds something else.
  """
  folder = Path(folder)
  if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
    return None
  manifest = load(folder)
  _refuse_other(folder, manifest.recipe, recipe)
  return manifest


def begin(folder: Path, recipe: Recipe) -> Manifest | None:
  """Claims a folder for an artifact that grows in place over many runs.

  Training goes on in its folder after a kill, so it cannot fill a temporary
  one. Its recipe is written first, its manifest last by `seal`; every file
  between is written whole by whoever writes it.

  Args:
    folder: where the artifact grows.
    recipe: what is being made.

  Returns:
    The manifest when this very recipe is finished there, else None.

  Raises:
    ArtifactError: the folder holds something else, begun or finished.
  """
  folder = Path(folder)
  begun = folder / RECIPE
  if begun.exists():
    found = Recipe(**read_json(begun))
    _refuse_other(folder, found, recipe)
    return load(folder) if (folder / MANIFEST).exists() else None
  if folder.is_dir() and not all(map(atomic.is_draft, folder.iterdir())):
    raise ArtifactError(
      f"{folder} is not empty and no {recipe.stage!r} was begun there. "
      "Choose another folder."
    )
  write_json(begun, dataclasses.asdict(recipe))
  return None


def seal(
  folder: Path,
  recipe: Recipe,
  *,
  files: Iterable[str],
  started: float,
  gin_text: str = "",
) -> Manifest:
  """Ends what `begin` began: writes provenance, then the manifest.

  Args:
    folder: the artifact.
    recipe: what was made.
    files: the paths within it that make its identity.
    started: when this run of the stage began, in seconds since the epoch.
    gin_text: the configuration, for the provenance.
  """
  folder = Path(folder)
  manifest = Manifest(
    **{f.name: getattr(recipe, f.name) for f in dataclasses.fields(Recipe)},
    files={name: file_hash(folder / name) for name in sorted(files)},
  )
  record = provenance(started=started, gin_text=gin_text)
  write_json(folder / PROVENANCE, record)
  write_text(folder / MANIFEST, manifest.text)
  return manifest


@contextlib.contextmanager
def building(
  folder: Path,
  recipe: Recipe,
  *,
  gin_text: str = "",
  aside: Sequence[str] = (),
) -> Iterator[Path]:
  """Fills a temporary folder that becomes the artifact on a clean exit.

  Two processes may build the same artifact at once: each fills its own
  temporary folder, the first to finish gives its to the final name, and the
  other's is dropped.

  Args:
    folder: the artifact's final name.
    recipe: what is being made.
    gin_text: the configuration, for the provenance.
    aside: files in it that are no part of its identity, such as paths.

  Yields:
    The temporary folder to write into. An exception removes it.

  Raises:
    ArtifactError: the final name already holds something else.
  """
  folder = Path(folder)
  existing(folder, recipe)
  started = time.time()
  folder.parent.mkdir(parents=True, exist_ok=True)
  with atomic.temporary(folder) as draft:
    draft.mkdir()
    yield draft
    files = _hash_files(draft, aside)
    manifest = Manifest(
      **{f.name: getattr(recipe, f.name) for f in dataclasses.fields(Recipe)},
      files=files,
    )
    (draft / MANIFEST).write_text(manifest.text, encoding="utf-8")
    record = _json(provenance(started=started, gin_text=gin_text))
    (draft / PROVENANCE).write_text(record, encoding="utf-8")
    atomic.flush_tree(draft)
    try:
      os.rename(draft, folder)
    except OSError:
      if existing(folder, recipe) is None:
        raise
      shutil.rmtree(draft)  # another process finished the same one first
  atomic.flush_folder(folder.parent)


def load(
  folder: Path, *, stage: str | None = None, format_version: int | None = None
) -> Manifest:
  """Reads the manifest of an artifact.

  Args:
    folder: the artifact.
    stage: the stage that must have made it, or None for any.
    format_version: the version its files must have, or None for any.

  Returns:
    The manifest.

  Raises:
    ArtifactError: there is no artifact, or one of another stage or format.
  """
  path = Path(folder) / MANIFEST
  try:
    fields = read_json(path)
    manifest = Manifest(**fields)
  except OSError as error:
    wanted = "artifact" if stage is None else f"artifact of stage {stage!r}"
    raise ArtifactError(
      f"{folder} is no finished {wanted}: it has no readable {MANIFEST} "
      f"({error.strerror}). Check the path, or make it first."
    ) from error
  except (ValueError, TypeError) as error:
    raise ArtifactError(
      f"{path} is damaged: {error}. Remove the folder and make it anew."
    ) from error
  if stage is not None and manifest.stage != stage:
    raise ArtifactError(
      f"{folder} was made by stage {manifest.stage!r}; one of stage "
      f"{stage!r} is expected here. Check the path."
    )
  if format_version not in (None, manifest.format_version):
    raise ArtifactError(
      f"{folder} has format version {manifest.format_version}; this genret "
      f"reads {format_version}. Remove the folder and make it anew."
    )
  return manifest


def verify(folder: Path) -> Manifest:
  """Hashes every file of an artifact again.

  Args:
    folder: the artifact.

  Returns:
    The manifest, when every file is as it was.

  Raises:
    ArtifactError: names the first file that is missing or has changed.
  """
  manifest = load(folder)
  for name, expected in manifest.files.items():
    path = Path(folder) / name
    found = file_hash(path) if path.is_file() else None
    if found != expected:
      state = "is missing" if found is None else "has changed"
      raise ArtifactError(
        f"{path} {state} since {folder} was made. Remove the folder and make "
        "it anew."
      )
  return manifest


def identity(folder: Path) -> str:
  """Returns the identity of the artifact in a folder."""
  return load(folder).identity


def file_hash(path: Path) -> str:
  """Returns the SHA-256 of a file, hexadecimal."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[TextIO]:
  """Opens a text file that takes its name only when wholly written."""
  path = Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  with (
    atomic.replacing(path) as draft,
    open(draft, "w", encoding="utf-8", newline="\n") as file,
  ):
    yield file


def write_text(path: Path, text: str) -> None:
  """Writes a text file atomically."""
  with writing(path) as file:
    file.write(text)


def write_json(path: Path, value: Any) -> None:
  """Writes a JSON file atomically, keys sorted, indented."""
  write_text(path, _json(value))


def read_json(path: Path) -> Any:
  """Reads a JSON file, whoever wrote it.

  Raises:
    OSError: There is none.
    ValueError: It is no JSON.
  """
  return json.loads(Path(path).read_text(encoding="utf-8"))


def _json(value: Any) -> str:
  return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _hash_files(folder: Path, aside: Sequence[str]) -> dict[str, str]:
  paths = sorted(path for path in folder.rglob("*") if path.is_file())
  names = {path.relative_to(folder).as_posix(): path for path in paths}
  return {n: file_hash(path) for n, path in names.items() if n not in aside}


def _differences(found: Recipe, wanted: Recipe) -> list[str]:
  """Lists what sets two recipes apart, as phrases."""
  was, now = _flat(found), _flat(wanted)
  out = []
  for key in sorted(was.keys() | now.keys()):
    a, b = was.get(key, "nothing"), now.get(key, "nothing")
    if a != b:
      out.append(f"{key} is {a} there and {b} here")
  return out


def _refuse_other(folder: Path, found: Recipe, wanted: Recipe) -> None:
  differences = _differences(found, wanted)
  if differences:
    raise ArtifactError(
      f"{folder} holds another artifact: {'; '.join(differences)}. "
      "Choose another folder, or remove this one to make it anew."
    )


def _flat(recipe: Recipe) -> dict[str, str]:
  """Maps each setting of a recipe, by its readable name, to its JSON."""
  named = {"stage": recipe.stage, "seed": recipe.seed}
  named["format version"] = recipe.format_version
  named |= {f"argument {k}": v for k, v in recipe.arguments.items()}
  named |= {f"input {k}": v for k, v in recipe.inputs.items()}
  return {k: json.dumps(v, sort_keys=True) for k, v in named.items()}
