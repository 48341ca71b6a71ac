"""The embed stage: a collection's documents as vectors."""

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from genret.core import artifacts, atomic
from genret.core.collection import Collection
from genret.core.docnos import Docnos
from genret.core.errors import ConfigError, DataError
from genret.embeddings import batching, store
from genret.embeddings.encoder import Encoder, minilm
from genret.embeddings.store import EmbeddingStore
from genret.stages.described import described

BLOCK = 1024
"""Documents in a block: what a killed run loses at most."""

Vectors = Callable[[Sequence[str]], EmbeddingStore]
"""docnos -> their vectors, as `store.squad` gives."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedConfig:
  """Where the vectors come from.

  Attributes:
    encoder: loads the encoder that reads each document's title and text,
      `minilm` or a functools.partial of `sentence_transformer`. It is called
      only when there is something to encode.
    vectors: ready vectors instead of an encoder: a .npy file with one row a
      document in corpus order; a folder that this stage wrote of a collection
      with all these documents, as a rung's is; or a function such as
      `store.squad`.
    dtype: "float16" or "float32", of the stored vectors.
    batch_size: documents handed to the encoder at a time; no part of the
      artifact's identity.
  """

  encoder: Callable[..., Encoder] = minilm
  vectors: str | Path | Vectors | None = None
  dtype: str = "float16"
  batch_size: int = 64

  def __post_init__(self):
    if self.dtype not in ("float16", "float32"):
      raise ConfigError(
        f"dtype must be 'float16' or 'float32', not {self.dtype!r}."
      )
    if self.batch_size < 1:
      raise ConfigError(f"batch_size must be 1 or more: {self.batch_size}.")


def run(
  config: EmbedConfig, collection: Collection, out: Path, *, gin_text: str = ""
) -> EmbeddingStore:
  """Makes the embeddings artifact of a collection, or opens it.

  An encoder's vectors are written in blocks of 1,024 documents into a hidden
  folder beside `out`; a killed run goes on with the first missing block and
  ends with the same bytes.

  Args:
    config: where the vectors come from.
    collection: whose documents are embedded.
    out: the artifact's folder.
    gin_text: the configuration, for the provenance.

  Returns:
    The store, memory-mapped.

  Raises:
    ArtifactError: `out` holds something else.
    ConfigError: an encoder is not installed.
    UserError: ready vectors do not fit the collection.
  """
  out = Path(out)
  wanted = recipe(config, collection)
  if artifacts.existing(out, wanted) is None:
    blocks = _blocks(config, collection, _working_folder(out, wanted))
    with artifacts.building(out, wanted, gin_text=gin_text) as folder:
      _assemble(folder, blocks, collection.docnos, dtype=config.dtype)
    _remove_working(out)
  return EmbeddingStore.load(out)


def recipe(config: EmbedConfig, collection: Collection) -> artifacts.Recipe:
  """Says what vectors depend on; equal recipes make equal vectors."""
  arguments = {"dtype": config.dtype}
  inputs = {"collection": collection.identity}
  if config.vectors is None:
    arguments["encoder"] = described(config.encoder)
  elif callable(config.vectors):
    arguments["vectors"] = described(config.vectors, ignore=("docnos",))
  else:
    inputs["vectors"] = _identity(Path(config.vectors))
  return artifacts.Recipe(
    stage=store.STAGE,
    arguments=arguments,
    inputs=inputs,
    format_version=store.FORMAT_VERSION,
  )


def _identity(path: Path) -> str:
  if path.is_dir():
    return EmbeddingStore.load(path).identity
  try:
    return artifacts.file_hash(path)
  except OSError as error:
    raise DataError(
      f"cannot be read: {error.strerror}. Give the .npy file of your vectors,"
      " or a folder of genret embed.",
      path=path,
    ) from error


def _blocks(
  config: EmbedConfig, collection: Collection, working: Path
) -> Iterator[np.ndarray]:
  """Provides the vectors of all documents, block after block."""
  if config.vectors is None:
    working.mkdir(parents=True, exist_ok=True)
    return _encoded(config, collection, working)
  docnos = collection.docnos
  if callable(config.vectors):
    vectors = config.vectors(docnos).aligned(docnos)
  elif Path(config.vectors).is_dir():
    return _taken(Path(config.vectors), docnos)
  else:
    vectors = store.open_npy(Path(config.vectors), docnos)
  return (vectors[i : i + BLOCK] for i in range(0, len(vectors), BLOCK))


def _taken(folder: Path, docnos: Docnos) -> Iterator[np.ndarray]:
  """Provides the vectors of some documents out of those of a collection."""
  found = EmbeddingStore.load(folder)
  rows = Docnos.from_strings(found.docnos).find(docnos)
  missing = np.flatnonzero(rows < 0)
  if len(missing):
    raise DataError(
      f"has no vector of {len(missing):,} of the {len(rows):,} documents, such"
      f" as {docnos[int(missing[0])]!r}: it is of another collection.",
      path=folder,
    )
  return (
    found.vectors[rows[i : i + BLOCK]] for i in range(0, len(rows), BLOCK)
  )


def _encoded(
  config: EmbedConfig, collection: Collection, working: Path
) -> Iterator[np.ndarray]:
  """Encodes the documents, but for the blocks that are there already."""
  encoder = None
  texts = (document.contents for document in collection.documents())
  with tqdm(total=collection.num_documents, unit=" texts", desc="embed") as bar:
    for number in itertools.count():
      block = list(itertools.islice(texts, BLOCK))
      if not block:
        return
      path = working / f"{number:06d}.npy"
      if path.exists():
        bar.initial += len(block)
        bar.update(len(block))
      else:
        encoder = encoder or config.encoder()
        vectors = batching.encode(
          encoder, block, batch_size=config.batch_size, advance=bar.update
        )
        _write_block(path, vectors.astype(config.dtype))
      yield np.load(path)


def _write_block(path: Path, vectors: np.ndarray) -> None:
  """Writes a block so that its name stands for a whole file."""
  with atomic.replacing(path) as draft, open(draft, "wb") as file:
    np.save(file, vectors)


def _assemble(
  folder: Path,
  blocks: Iterator[np.ndarray],
  docnos: Sequence[str],
  *,
  dtype: str,
) -> None:
  """Puts the blocks into one file without holding them all."""
  vectors = None
  done = 0
  for block in blocks:
    with np.errstate(over="ignore"):
      block = block.astype(dtype)
    if not np.isfinite(block).all():
      raise ConfigError(
        f"Some numbers of the vectors do not fit {dtype}; set dtype='float32'."
      )
    _refuse_zeros(block, done, dtype)
    if vectors is None:
      vectors = np.lib.format.open_memmap(
        folder / store.VECTORS,
        mode="w+",
        dtype=dtype,
        shape=(len(docnos), block.shape[1]),
      )
    vectors[done : done + len(block)] = block
    done += len(block)
  vectors.flush()
  Docnos.from_strings(docnos).save(folder)


def _refuse_zeros(block: np.ndarray, first: int, dtype: str) -> None:
  """Refuses rows without a direction, to which nothing is near."""
  zeros = np.flatnonzero(~block.any(1))
  if len(zeros):
    small = dtype == "float16"
    remedy = " If its numbers are only small, set dtype='float32'."
    raise ConfigError(
      f"The vector of document {first + int(zeros[0]):,} is all zeros in"
      f" {dtype}.{remedy if small else ''}"
    )


def _working_folder(out: Path, made: artifacts.Recipe) -> Path:
  """Names the folder of this recipe's blocks, beside the artifact."""
  return out.with_name(f".{out.name}.blocks-{made.key}")


def _remove_working(out: Path) -> None:
  """Removes the blocks of this recipe and of those given up before it."""
  for folder in out.parent.glob(f".{out.name}.blocks-*"):
    shutil.rmtree(folder, ignore_errors=True)
