"""Document vectors and the docnos they belong to."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import artifacts
from genret.core.docnos import Docnos
from genret.core.errors import ArtifactError, DataError, UserError

VECTORS = "vectors.npy"
STAGE = "embed"
FORMAT_VERSION = 1
_BLOCK = 1 << 16  # rows looked at a time

SQUAD_DOCNOS = (
  "6858e832335eba216260c0b59f99d5368cea707bd472ffb915c753586262aadc"
)
"""`docnos_hash` of the documents that the shipped vectors belong to."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingStore:
  """One vector a document, in corpus order.

  Attributes:
    vectors: [N, D], float16 or float32; memory-mapped when loaded.
    docnos: the N docnos of the rows.
    made: identity of the artifact that the vectors were read from, if any.
  """

  vectors: np.ndarray
  docnos: Sequence[str]
  made: str | None = None

  def __post_init__(self):
    _check(self.vectors, len(self.docnos))

  @property
  def num_documents(self) -> int:
    """N."""
    return self.vectors.shape[0]

  @property
  def dim(self) -> int:
    """D."""
    return self.vectors.shape[1]

  @functools.cached_property
  def identity(self) -> str:
    """The artifact's identity, or else a hash of vectors and docnos."""
    if self.made is not None:
      return self.made
    digest = hashlib.sha256(f"{self.vectors.dtype} {self.dim}\n".encode())
    for start in range(0, self.num_documents, _BLOCK):
      digest.update(
        np.ascontiguousarray(self.vectors[start : start + _BLOCK]).data
      )
    digest.update(docnos_hash(self.docnos).encode())
    return digest.hexdigest()

  def aligned(self, docnos: Sequence[str]) -> np.ndarray:
    """Returns the vectors once it is sure that row i is document i.

    Args:
      docnos: of the collection, in corpus order.

    Returns:
      The vectors [N, D].

    Raises:
      UserError: these are not the vectors of that collection, in order.
    """
    if len(docnos) != self.num_documents:
      raise UserError(
        f"The embeddings are of {self.num_documents:,} documents and the"
        f" collection has {len(docnos):,}: they are of another collection."
        " Embed this one with `genret embed`."
      )
    if self.docnos == docnos:  # arrays, mostly; quicker than pair by pair
      return self.vectors
    pairs = zip(self.docnos, docnos, strict=True)
    for row, (ours, theirs) in enumerate(pairs):
      if ours != theirs:
        raise UserError(
          f"Row {row} of the embeddings is document {ours!r} but document"
          f" {row} of the collection is {theirs!r}: they are of another"
          " collection, or it was prepared in another order. Embed this one"
          " with `genret embed`."
        )
    return self.vectors

  def save(self, folder: Path) -> None:
    """Writes vectors.npy, docnos.bytes and offsets.npy into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / VECTORS, self.vectors)
    Docnos.from_strings(self.docnos).save(folder)

  @classmethod
  def load(cls, folder: Path) -> "EmbeddingStore":
    """Opens saved embeddings, memory-mapped.

    Args:
      folder: an artifact of the stage, or where `save` wrote.

    Raises:
      ArtifactError: there are none, or the files do not fit each other.
    """
    folder = Path(folder)
    made = None
    if (folder / artifacts.MANIFEST).exists():
      manifest = artifacts.load(
        folder, stage=STAGE, format_version=FORMAT_VERSION
      )
      made = manifest.identity
    try:
      return cls(
        vectors=np.load(folder / VECTORS, mmap_mode="r"),
        docnos=Docnos.load(folder),
        made=made,
      )
    except (OSError, ValueError) as error:
      raise ArtifactError(
        f"{folder} holds no usable embeddings: {error}. Embeddings are made"
        " by `genret embed`."
      ) from error


def open_npy(path: Path, docnos: Sequence[str]) -> np.ndarray:
  """Opens a .npy file of the user's, one row a document in corpus order.

  Every row is looked at once, a block at a time.

  Args:
    path: a .npy file of floats, [N, D].
    docnos: of the collection, in corpus order.

  Returns:
    The vectors, memory-mapped: float16, float32 or float64.

  Raises:
    DataError: says what is wrong with the file, and with which row.
  """
  try:
    vectors = np.load(path, mmap_mode="r", allow_pickle=False)
  except (OSError, ValueError, EOFError) as error:
    raise DataError(
      f"cannot be read as a .npy array: {error}", path=path
    ) from error
  if not isinstance(vectors, np.ndarray):
    raise DataError(
      "is an archive of arrays; save one array with numpy.save", path=path
    )
  try:
    _check(vectors, len(docnos), dtypes=(np.float16, np.float32, np.float64))
  except UserError as error:
    raise DataError(str(error), path=path) from error
  check_finite(vectors, path=path)
  return vectors


def check_finite(vectors: np.ndarray, *, path: Path) -> None:
  """Looks for NaN, infinity and zero rows, a block at a time.

  Raises:
    DataError: names the first row with such a number. A zero row has no
      direction, so nothing is near it.
  """
  for start in range(0, len(vectors), _BLOCK):
    block = np.asarray(vectors[start : start + _BLOCK], np.float32)
    for what, bad in (
      ("holds NaN or infinity", ~np.isfinite(block).all(1)),
      ("is all zeros", ~block.any(1)),
    ):
      if bad.any():
        row = start + int(bad.argmax())
        raise DataError(
          f"row {row} {what} ({int(bad.sum())} such rows in its block); every"
          " document needs a vector of finite numbers",
          path=path,
        )


def docnos_hash(docnos: Iterable[str]) -> str:
  """Hashes docnos in their order.

  >>> docnos_hash(["a", "b"])[:8]
  '911169dd'
  """
  return Docnos.from_strings(docnos).checksum


def squad(docnos: Sequence[str]) -> EmbeddingStore:
  """Opens the vectors that ship with the embedded collection.

  They are all-MiniLM-L6-v2's, of title and text; `EMBEDDINGS.md` beside
  them says how they were made.

  Args:
    docnos: of the embedded collection, in corpus order.

  Returns:
    2,067 vectors of 384 float16 numbers.

  Raises:
    UserError: the docnos are not the embedded collection's.
  """
  if docnos_hash(docnos) != SQUAD_DOCNOS:
    raise UserError(
      "The shipped embeddings belong to the 2,067 documents of the embedded"
      f" collection squad, in their order; {len(docnos):,} other documents"
      " came. Embed them with `genret embed`."
    )
  file = resources.files("genret") / "data" / "squad" / "embeddings.npy"
  with resources.as_file(file) as path:
    return EmbeddingStore(vectors=np.load(path), docnos=docnos)


def _check(
  vectors: Any,
  documents: int,
  dtypes: Sequence[type] = (np.float16, np.float32),
) -> None:
  """Holds an array to [N, D] of floats, one row a document."""
  if vectors.ndim != 2 or 0 in vectors.shape:
    raise UserError(
      "Embeddings must be an array [documents, dimensions] with at least one of"
      f" each, not of shape {list(vectors.shape)}."
    )
  if vectors.dtype not in dtypes:
    raise UserError(
      f"Embeddings must be float16 or float32, not {vectors.dtype}."
    )
  if len(vectors) != documents:
    raise UserError(
      f"Embeddings have {len(vectors):,} rows but there are"
      f" {documents:,} documents; one row a document, in corpus"
      " order, is expected."
    )
