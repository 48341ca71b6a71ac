"""Queries a second: genret's constrained search against `transformers`.

Both search the same test questions of the embedded collection with the same
T5, docids and number of beams. `transformers` constrains `generate` as its
users do, by a Python function over a trie of nested dicts
(`prefix_allowed_tokens_fn`); its unconstrained `generate`, which may write
docids that do not exist, is in the table as well.

  python tools/benchmarks/retrieval.py --quick
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import peers
import reporting

from genret.core.docid_table import DocidTable
from genret.core.text import Tokenizer
from genret.decoding.trie import Trie
from genret.docids import naive
from genret.models.t5 import SIZES, T5, T5Config
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.stages import docids, prepare
from genret.stages.docids import DocidsConfig
from genret.stages.prepare import PrepareConfig

BEAMS = 10
BATCH = 32
INPUT_LENGTH = 64


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--quick", action="store_true", help="under five minutes")
  how.add_argument("--full", action="store_true", help="more queries and sizes")
  full = parser.parse_args().full
  num_queries = 256 if full else 64
  with tempfile.TemporaryDirectory() as folder:
    collection = prepare.run(PrepareConfig(), Path(folder) / "collection")
    table = docids.run(
      DocidsConfig(scheme=naive.fit),
      collection,
      None,
      out=Path(folder) / "docids",
    )
    table = dataclasses.replace(table, codes=np.array(table.codes))
    queries = [query.text for query in collection.queries("test")]
  queries = queries[:num_queries]
  checks = []
  shapes = {"narrow": peers.NARROW, "tiny": SIZES["tiny"]}
  if full:
    shapes["small"] = SIZES["small"]
  for name, config in shapes.items():
    checks += _compare(name, config, table=table, queries=queries)
  reporting.finish(checks, packages=("jax", "flax", "torch", "transformers"))


def _compare(
  name: str,
  config: T5Config,
  *,
  table: DocidTable,
  queries: Sequence[str],
) -> list[reporting.Check]:
  config = dataclasses.replace(
    config, docid_vocab_size=table.vocab_size, docid_length=table.length
  )
  tokens = np.ones((1, 4), np.int32)
  params = jax.jit(T5(config).init)(jax.random.key(0), tokens, tokens)
  params = jax.device_get(params["params"])
  spec = ModelSpec(
    model=config,
    num_symbols=table.vocab_size,
    scheme=table.scheme,
    docids="",
    input_length=INPUT_LENGTH,
  )
  trie = Trie.build(table.codes, table.vocab_size)
  retriever = Retriever(spec, params, table=table, trie=trie)
  seconds = reporting.median_seconds(
    lambda: retriever.search(queries, k=BEAMS), repeats=3
  )
  ours = len(queries) / seconds
  checks = [_rate(f"genret, {name}", ours)]
  try:
    peer = Peer(peers.torch_t5(params, config), table)
  except ImportError as error:
    return [
      *checks,
      reporting.missing(f"transformers, {name}", reason=str(error)),
    ]
  rates = {}
  for constrained in (True, False):
    seconds = reporting.median_seconds(
      lambda constrained=constrained: peer.search(
        queries, constrained=constrained
      ),
      repeats=3,
    )
    rates[constrained] = len(queries) / seconds
  same = _agreement(retriever, peer, queries)
  return [
    *checks,
    _rate(f"transformers, constrained, {name}", rates[True]),
    _rate(f"transformers, unconstrained, {name}", rates[False]),
    reporting.at_least(
      f"genret / transformers, constrained, {name}",
      ours / rates[True],
      3.0,
      unit="times",
    ),
    reporting.at_least(
      f"same documents in the first {BEAMS}, {name}", same, 0.99, unit="share"
    ),
  ]


def _rate(name: str, figure: float) -> reporting.Check:
  return reporting.Check(name=name, figure=figure, unit="queries/s")


class Peer:
  """`generate` over a trie of nested dicts."""

  def __init__(self, model, table: DocidTable):
    self._model = model.eval()
    self._tokenizer = Tokenizer()
    self._length = table.length
    self._trie: dict = {}
    self._docnos = {}
    for docno, row in zip(table.docnos, table.codes.tolist(), strict=True):
      self._docnos[tuple(row)] = docno
      node = self._trie
      for symbol in row:
        node = node.setdefault(symbol, {})

  def search(
    self, queries: Sequence[str], *, constrained: bool = True
  ) -> list[list[str | None]]:
    """Returns the docnos of the best docids of each query."""
    out = []
    for start in range(0, len(queries), BATCH):
      out += self._batch(queries[start : start + BATCH], constrained)
    return out

  def _batch(
    self, queries: Sequence[str], constrained: bool
  ) -> list[list[str | None]]:
    import torch

    rows = self._tokenizer.encode(queries, max_length=INPUT_LENGTH)
    inputs = self._tokenizer.pad(rows, max(map(len, rows)))
    inputs = torch.from_numpy(inputs).long()
    allowed = {"prefix_allowed_tokens_fn": self._allowed} if constrained else {}
    with torch.no_grad():
      found = self._model.generate(
        inputs,
        attention_mask=(inputs != 0).long(),
        num_beams=BEAMS,
        num_return_sequences=BEAMS,
        max_new_tokens=self._length,
        min_new_tokens=self._length,
        length_penalty=0.0,
        do_sample=False,
        pad_token_id=0,
        eos_token_id=1,
        **allowed,
      )
    docids = found[:, 1:].reshape(len(queries), BEAMS, self._length).tolist()
    return [
      [self._docnos.get(tuple(docid)) for docid in beams] for beams in docids
    ]

  def _allowed(self, batch: int, prefix) -> list[int]:
    del batch
    node = self._trie
    for symbol in prefix.tolist()[1:]:
      node = node[symbol]
    return list(node)


def _agreement(
  retriever: Retriever, peer: Peer, queries: Sequence[str]
) -> float:
  """Returns the share of documents that both find, over all queries."""
  ours = retriever.search(queries, k=BEAMS)
  theirs = peer.search(queries)
  shared = [
    len({hit.docno for hit in hits} & set(docnos)) / BEAMS
    for hits, docnos in zip(ours, theirs, strict=True)
  ]
  return float(np.mean(shared))


if __name__ == "__main__":
  main()
