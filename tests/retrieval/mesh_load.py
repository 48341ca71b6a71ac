"""Loads a model folder whole, and in parts onto a mesh; searches with both.

Prints JSON. In one process with eight virtual devices.
"""

import dataclasses
import json
import tempfile
from pathlib import Path

import jax
import optax

from genret.decoding.trie import Trie
from genret.models.t5 import T5
from genret.retrieval import model_folder, on_mesh
from genret.retrieval.generative import Retriever
from genret.training.checkpoints import Checkpoints
from genret.training.losses import Loss
from genret.training.partitioning import MeshShape
from genret.training.step import Program


def lay_out(folder: Path, searches) -> None:
  docids = searches.table("atomic")
  docids.save(folder / model_folder.DOCIDS)
  Trie.build(docids.codes, docids.vocab_size).save(folder / model_folder.TRIE)
  spec = dataclasses.replace(
    searches.spec_of(docids),
    docids=model_folder.codes_hash(folder / model_folder.DOCIDS),
    dev_measure=None,
  )
  spec.save(folder)
  program = Program(
    model=T5(spec.model),
    num_symbols=spec.num_symbols,
    optimizer=optax.sgd(0.1),
    loss=Loss(),
    seed=0,
    mesh=MeshShape().build(),
  )
  checkpoints = Checkpoints(folder / model_folder.CHECKPOINTS, measure=None)
  checkpoints.save(program.init_state(), position={}, metrics={})
  checkpoints.close()


def main():
  import mesh_searches as searches  # beside this script, which pytest is not

  with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    lay_out(folder, searches)
    shape = MeshShape(model=2, fully_sharded=True)
    spec = model_folder.ModelSpec.load(folder)
    placed = on_mesh.placements(spec.model, shape, shape.build())
    _, params = model_folder.load_params(folder, spec, placements=placed)
    spread = Retriever.load(folder, shape=shape)
    found = spread.search(searches.QUERIES, k=5)
    expected = Retriever.load(folder).search(searches.QUERIES, k=5)
  kernel = params["decoder"]["logits_dense"]["kernel"]
  report = searches.compare(found, expected)
  report["head"] = [
    kernel.shape,
    kernel.addressable_shards[0].data.shape,
  ]
  report["as placed"] = jax.tree.all(
    jax.tree.map(lambda leaf, at: leaf.sharding == at, params, placed)
  )
  print(json.dumps(report))


if __name__ == "__main__":
  main()
