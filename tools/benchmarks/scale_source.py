"""A collection of any size from NCBI's taxonomy: names and titles of taxa."""

import csv
import itertools
import json
import lzma
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TAXA = Path(__file__).parents[3] / "shared" / "data" / "taxa" / "taxa.tsv.xz"
DIM = 64
_QUERIES = 100  # of test, and as many of dev
_ONE_IN = 10  # documents that have a query: their names
_BLOCK = 1 << 16


def write(folder: Path, taxa: Path, *, documents: int) -> None:
  """Writes the first taxa as a collection in BEIR's layout.

  A document's title is the taxon's title and its text the taxon's name. One
  document in ten is asked for by its name; a hundred of these queries, evenly
  spread, are test, a hundred dev, the rest train.

  Args:
    folder: where to.
    taxa: taxa.tsv.xz.
    documents: how many.

  Raises:
    ValueError: there are not so many taxa.
  """
  (folder / "qrels").mkdir(parents=True)
  splits = {
    split: open(folder / "qrels" / f"{split}.tsv", "w", encoding="utf-8")
    for split in ("train", "dev", "test")
  }
  for file in splits.values():
    file.write("query-id\tcorpus-id\tscore\n")
  every = max(1, documents // _ONE_IN // _QUERIES)
  written = 0
  with (
    open(folder / "corpus.jsonl", "w", encoding="utf-8") as corpus,
    open(folder / "queries.jsonl", "w", encoding="utf-8") as queries,
  ):
    for number, row in enumerate(itertools.islice(_rows(taxa), documents)):
      taxid, name, title = row[0], row[3], row[5]
      _line(corpus, {"_id": taxid, "title": title, "text": name})
      written += 1
      if number % _ONE_IN:
        continue
      _line(queries, {"_id": f"q{taxid}", "text": f"{name} {taxid}"})
      place = number // _ONE_IN % every
      split = {0: "test", 1: "dev"}.get(place, "train")
      splits[split].write(f"q{taxid}\t{taxid}\t1\n")
  for file in splits.values():
    file.close()
  if written < documents:
    raise ValueError(f"{taxa} has {written:,} taxa; {documents:,} are needed")


def write_vectors(path: Path, documents: int) -> None:
  """Writes random vectors, one a document, block by block."""
  random = np.random.default_rng(0)
  vectors = np.lib.format.open_memmap(
    path, mode="w+", dtype=np.float16, shape=(documents, DIM)
  )
  for start in range(0, documents, _BLOCK):
    size = min(_BLOCK, documents - start)
    vectors[start : start + size] = random.standard_normal((size, DIM))
  vectors.flush()


def _rows(taxa: Path) -> Iterator[list[str]]:
  with lzma.open(taxa, "rt", encoding="utf-8", newline="") as file:
    yield from csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def _line(file, value: dict[str, str]) -> None:
  file.write(json.dumps(value, ensure_ascii=False) + "\n")
