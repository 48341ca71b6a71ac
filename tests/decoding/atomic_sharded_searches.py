"""Searches atomic docids on eight devices and on one; prints what differs.

Run by `atomic_sharded_test.py` in a process of its own.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from genret.core.errors import UserError
from genret.decoding import atomic, atomic_sharded
from genret.decoding.atomic import AtomicIndex
from genret.decoding.atomic_sharded import ShardedIndex
from genret.decoding.trie import Trie
from genret.models.sizes import T5Config
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5

STATIC = ("num_beams", "scoring", "recall_target")
alone = jax.jit(atomic.search, static_argnames=STATIC)


def t5(vocab_size):
  """A T5 whose head is padded to a multiple of 128, and its queries."""
  config = T5Config(
    vocab_size=40,
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=24,
    num_encoder_layers=1,
    num_decoder_layers=1,
    docid_vocab_size=vocab_size,
    docid_length=1,
  )
  tokens = jnp.asarray([[5, 6, 7, 1], [8, 9, 1, 0], [3, 1, 0, 0], [4, 4, 4, 1]])
  params = jax.jit(T5(config).init)(jax.random.key(1), tokens, tokens[:, :1])
  stepper = T5Stepper.create(params["params"], config)
  return stepper, jax.jit(T5Stepper.encode)(stepper, tokens), vocab_size


def specs_of(decoder):
  """The head's rows in a T5, the head's columns in the toy, on one axis."""
  specs = {"['rows']": P("docids"), ".head": P(None, "docids")}

  def spec(path, leaf):
    return specs.get(jax.tree_util.keystr(path[-1:]), P())

  return jax.tree_util.tree_map_with_path(spec, decoder)


def docids(vocab_size, share):
  rng = np.random.default_rng(0)
  symbols = 2 + rng.permutation(vocab_size - 2)
  return symbols[: max(1, int(share * vocab_size))]


def compare(
  case, model, mesh, *, share=1.0, head_width=None, batch_axis=None, **options
):
  decoder, encoded, vocab_size = model
  symbols = docids(vocab_size, share)
  trie = Trie.build(symbols[:, None], vocab_size)
  index = AtomicIndex.place(trie, chunk=64)
  want = alone(decoder, encoded, index, **options)
  specs = specs_of(decoder)
  decoder = atomic_sharded.place(decoder, mesh, specs)
  index = ShardedIndex.place(
    trie, mesh, "docids", head_width=head_width, chunk=20
  )
  search = functools.partial(
    atomic_sharded.sharded_search, specs=specs, batch_axis=batch_axis, **options
  )
  program = jax.jit(search).lower(decoder, encoded, index).compile()
  got = program(decoder, encoded, index)
  want, got = jax.device_get((want, got))
  wanted = np.where(want.valid, want.scores, 0)
  apart = np.abs(wanted - np.where(got.valid, got.scores, 0))
  return {
    "case": f"{case}, {len(symbols)} docids, {options}, {dict(mesh.shape)}",
    "rows": bool((want.rows == got.rows).all()),
    "empty": bool(np.isneginf(got.scores[~want.valid]).all()),
    "scores": float((apart / np.maximum(1, np.abs(wanted))).max()),
    "found": int(want.valid.sum()),
    "shapes": shapes(program, decoder),
  }


def shapes(program, decoder):
  """What the program of a device holds, and its parts of a T5's head."""
  if not isinstance(decoder, T5Stepper):
    return {}
  text = program.as_text()
  head = decoder.params["decoder"]["logits_dense"]["rows"]
  return {
    "parts": sorted({part.data.shape for part in head.addressable_shards}),
    "whole": "[640,16]" in text or "[601,16]" in text,
    "part": "[80,16]" in text,
    "all scores": any(f"[4,{width}]" in text for width in (640, 601, 80)),
    "chunk": "[4,20]" in text,
  }


def refusal(model, mesh, *, head_width, specs=None):
  decoder, encoded, vocab_size = model
  trie = Trie.build(np.array([[2], [3]]), vocab_size)
  try:
    index = ShardedIndex.place(trie, mesh, "docids", head_width=head_width)
    specs = specs_of(decoder) if specs is None else specs
    atomic_sharded.sharded_search(
      decoder, encoded, index, specs=specs, num_beams=1
    )
  except UserError as error:
    return str(error)
  return ""


def main():
  devices = np.array(jax.devices())
  eight = Mesh(devices, ("docids",))
  both = Mesh(devices.reshape(2, 4), ("data", "docids"))
  padded = t5(601)
  import conftest  # beside this file; found when it is run, not collected

  toy = conftest.toy_decoder(vocab_size=100, length=1)
  toy = toy, conftest.queries(4), 100
  ties = toy[0].replace(head=jnp.zeros_like(toy[0].head)), *toy[1:]
  few = conftest.toy_decoder(vocab_size=9, length=1)
  few = few, conftest.queries(4), 9
  renormalised = {"num_beams": 200, "scoring": "renormalised"}
  cases = [
    compare("T5", padded, eight, head_width=640, num_beams=7),
    compare("half", toy, eight, share=0.5, **renormalised),
    compare("one", toy, eight, share=0, num_beams=2),
    compare("approximate", toy, eight, num_beams=7, recall_target=0.9),
    compare("ties", ties, eight, share=0.7, num_beams=30),
    compare("empty parts", few, eight, num_beams=20),
    compare("batch split", toy, both, num_beams=7, batch_axis="data"),
  ]
  report = {
    "devices": jax.device_count(),
    "cases": cases,
    "refusals": [
      refusal(padded, eight, head_width=600),
      refusal(padded, eight, head_width=601),
      refusal(padded, eight, head_width=640, specs=P()),
    ],
  }
  print(json.dumps(report))


if __name__ == "__main__":
  main()
