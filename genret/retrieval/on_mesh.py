"""Searching with parameters that are spread over a mesh, as training has them.

All devices of all processes search the same queries in one program, each its
share of the rows, heads and symbols; weights are put together a product at a
time where rules split their narrow dimension. So a model is judged while it
trains although no device could hold it. Searching with whole copies instead,
each process its own queries, would be faster for models that fit twice.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from genret.decoding.atomic_sharded import ShardedIndex, sharded_search
from genret.decoding.beam_search import Beams, beam_search
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.selection import Scoring
from genret.decoding.trie import Trie
from genret.models import shapes
from genret.models.stepper import Encoded, T5Stepper
from genret.models.t5 import T5Config
from genret.training import partitioning
from genret.training.partitioning import MeshShape


def place_docids(
  trie: Trie, mesh: Mesh, *, config: T5Config
) -> DeviceTrie | ShardedIndex:
  """Copies docids to all devices; the marks of atomic ones as the head lies.

  Args:
    trie: the docids.
    mesh: the devices, of one process or of many.
    config: of the model, for the width of its head.
  """
  if trie.length == 1:
    return ShardedIndex.place(
      trie, mesh, _head_axis(mesh), head_width=config.head_width
    )
  whole = partitioning.replicated(mesh)

  def everywhere(leaf: jax.Array) -> jax.Array:
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, whole, host.__getitem__)

  return jax.tree.map(everywhere, DeviceTrie.place(trie))


def _head_axis(mesh: Mesh) -> str:
  """The axis that atomic docids are split over, so that a part of them fits."""
  return "model" if mesh.shape["model"] > 1 else "data"


def placements(config: T5Config, shape: MeshShape, mesh: Mesh) -> Any:
  """Returns where each parameter lies, as a tree of shardings.

  Args:
    config: Of the model.
    shape: Whose rules hold.
    mesh: What it builds.
  """
  specs = partitioning.partition_specs(
    shapes.abstract(config), mesh.shape, shape.rules
  )
  return partitioning.placements(specs, mesh)


def create_stepper(
  params: Any, config: T5Config, docids: DeviceTrie | ShardedIndex
) -> T5Stepper:
  """Prepares parameters for searching; only the head is copied, as rows.

  Kernels are not joined as `T5Stepper.create` does: a joined axis would be
  split elsewhere than its parts were, and all of them sent about. The rows of
  a head of atomic docids are laid out as the docids are, once.

  Args:
    params: Of the model, on a mesh.
    config: Its shape.
    docids: From `place_docids`.
  """
  kernel = params["decoder"]["logits_dense"]["kernel"]
  width, placement = kernel.shape[1], None
  if isinstance(docids, ShardedIndex):
    width = docids.head_width
    placement = NamedSharding(docids.mesh, PartitionSpec(docids.axis))
  rows = _transposed(kernel, width=width, placement=placement)
  decoder = {**params["decoder"], "logits_dense": {"rows": rows}}
  return T5Stepper(params={**params, "decoder": decoder}, config=config)


@functools.partial(jax.jit, static_argnames=("width", "placement"))
def _transposed(
  kernel: jax.Array, *, width: int, placement: NamedSharding | None
) -> jax.Array:
  rows = jnp.pad(kernel.T, ((0, width - kernel.shape[1]), (0, 0)))
  if placement is None:
    return rows
  return jax.lax.with_sharding_constraint(rows, placement)


@functools.partial(jax.jit, static_argnames=("num_beams", "scoring", "mesh"))
def search(
  stepper: T5Stepper,
  docids: DeviceTrie | ShardedIndex,
  *,
  inputs: jax.Array,
  num_beams: int,
  scoring: Scoring,
  mesh: Mesh,
) -> Beams:
  """Searches queries, the same ones in every process.

  Args:
    stepper: the model, from `create_stepper`.
    docids: from `place_docids`.
    inputs: text ids of the queries [B, L].
    num_beams: K, static.
    scoring: static.
    mesh: static; where parameters and docids lie.

  Returns:
    Beams that every process holds whole.
  """
  with partitioning.constrained(mesh):
    encoded = stepper.encode(inputs)
    if isinstance(docids, DeviceTrie):
      found = beam_search(
        stepper, encoded, docids, num_beams=num_beams, scoring=scoring
      )
  if isinstance(docids, ShardedIndex):
    found = _search_atomic(
      stepper, encoded, docids, num_beams=num_beams, scoring=scoring
    )
  return jax.lax.with_sharding_constraint(found, partitioning.replicated(mesh))


def _search_atomic(
  stepper: T5Stepper,
  encoded: Encoded,
  docids: ShardedIndex,
  *,
  num_beams: int,
  scoring: Scoring,
) -> Beams:
  """Reads the decoder's layers whole on each device, its head in parts."""
  params = {"decoder": stepper.params["decoder"]}
  if stepper.config.docid_vocab_size is None:
    params["token_embedder"] = stepper.params["token_embedder"]
  lone = T5Stepper(params=params, config=stepper.config)
  specs = jax.tree_util.tree_map_with_path(
    lambda path, _: (
      PartitionSpec(docids.axis)
      if "rows" in jax.tree_util.keystr(path)
      else PartitionSpec()
    ),
    lone,
  )
  return sharded_search(
    lone,
    encoded,
    docids,
    specs=specs,
    num_beams=num_beams,
    scoring=scoring,
  )
