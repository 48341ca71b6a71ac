"""Searches with parameters spread over meshes, and with whole ones.

Prints JSON. In one process with eight virtual devices, or in several.
"""

import json

import jax
import numpy as np
import optax

from genret.core.docid_table import DocidTable
from genret.decoding.trie import Trie
from genret.models.t5 import T5, T5Config
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.training import cluster, partitioning
from genret.training.losses import Loss
from genret.training.partitioning import MeshShape
from genret.training.step import Program

QUERIES = ["who wrote it", "when", "a longer question than the others are"]
SHAPES = {
  "model": MeshShape(model=2),
  "all": MeshShape(model=2, fully_sharded=True),
  "fully sharded": MeshShape(fully_sharded=True),
}


def table(scheme: str) -> DocidTable:
  numbers = np.arange(2, 32)
  codes = {
    "atomic": numbers[:, None],
    "semantic": np.stack([numbers // 5 + 2, numbers % 5 + 2], axis=1),
  }[scheme]
  return DocidTable(
    codes=codes,
    docnos=[f"d{i}" for i in numbers],
    vocab_size=int(codes.max()) + 1,
    scheme=scheme,
  )


def spec_of(docids: DocidTable) -> ModelSpec:
  model = T5Config(
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=32,
    num_encoder_layers=1,
    num_decoder_layers=1,
    docid_vocab_size=docids.vocab_size,
    docid_length=docids.length,
    head_multiple=4,
  )
  return ModelSpec(
    model=model,
    num_symbols=docids.vocab_size,
    scheme=docids.scheme,
    docids="",
    input_length=16,
  )


def params_of(spec: ModelSpec, shape: MeshShape, mesh) -> dict:
  return (
    Program(
      model=T5(spec.model),
      num_symbols=spec.num_symbols,
      optimizer=optax.sgd(0.1),
      loss=Loss(),
      seed=0,
      mesh=mesh,
      rules=shape.rules,
    )
    .init_state()
    .params
  )


def main():
  cluster.join()
  report = {}
  for scheme in ("atomic", "semantic"):
    docids = table(scheme)
    spec = spec_of(docids)
    trie = Trie.build(docids.codes, docids.vocab_size)
    found = {}
    for name, shape in SHAPES.items():
      mesh = shape.build()
      params = params_of(spec, shape, mesh)
      retriever = Retriever(spec, params, table=docids, trie=trie, mesh=mesh)
      found[name] = retriever.search(QUERIES, k=5)
    whole = jax.jit(
      lambda tree: tree, out_shardings=partitioning.replicated(mesh)
    )(params)
    alone = Retriever(spec, jax.device_get(whole), table=docids, trie=trie)
    expected = alone.search(QUERIES, k=5)
    for name, hits in found.items():
      report[f"{scheme}, {name}"] = compare(hits, expected)
  print(json.dumps(report))


def compare(found, expected) -> dict:
  docnos = [
    [[hit.docno for hit in h] for h in run] for run in (found, expected)
  ]
  scores = [
    [[hit.score for hit in h] for h in run] for run in (found, expected)
  ]
  return {
    "same": docnos[0] == docnos[1],
    "furthest": float(np.abs(np.subtract(*scores)).max()),
  }


if __name__ == "__main__":
  main()
