"""Searches tries on eight devices and on one; prints what differs.

Run by `sharded_test.py` in a process of its own, which sees eight devices.
"""

import json

import jax
import numpy as np
from jax.sharding import Mesh

from genret.decoding.beam_search import beam_search
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.sharded import ShardedTrie, sharded_search
from genret.decoding.trie import Trie

STATIC = ("num_beams", "scoring", "batch_axis")
alone = jax.jit(beam_search, static_argnames=STATIC[:2])
together = jax.jit(sharded_search, static_argnames=STATIC)


def codes_of(case):
  """Docids of six symbols; what is odd about them is in the case's name."""
  rng = np.random.default_rng(0)
  codes = rng.integers(2, 8, (150, 6))
  if case == "with EOS":
    ends = rng.integers(0, 6, 150)
    codes[np.arange(150), ends] = 1
    codes[np.arange(6) > ends[:, None]] = 0
  if case == "three first symbols":  # five devices have nothing
    codes[:, 0] = rng.integers(2, 5, 150)
  if case == "one docid":
    codes = codes[:1]
  return codes


def compare(case, mesh, *, num_beams, scoring="raw", batch_axis=None):
  import conftest  # beside this file; found when it is run, not collected

  trie = Trie.build(codes_of(case), 8)
  decoder, encoded = conftest.toy_decoder(), conftest.queries(4)
  want = alone(
    decoder,
    encoded,
    DeviceTrie.place(trie),
    num_beams=num_beams,
    scoring=scoring,
  )
  got = together(
    decoder,
    encoded,
    ShardedTrie.place(trie, mesh, "docids"),
    num_beams=num_beams,
    scoring=scoring,
    batch_axis=batch_axis,
  )
  want, got = jax.device_get((want, got))
  scores = np.where(
    want.valid, want.scores - np.where(got.valid, got.scores, 0), 0
  )
  return {
    "case": f"{case}, {num_beams} beams, {scoring}, {dict(mesh.shape)}",
    "rows": bool((want.rows == got.rows).all()),
    "scores": float(np.abs(scores).max()),
    "found": int(want.valid.sum()),
  }


def main():
  devices = np.array(jax.devices())
  eight = Mesh(devices, ("docids",))
  both = Mesh(devices.reshape(2, 4), ("data", "docids"))
  report = [
    compare("uniform", eight, num_beams=7),
    compare("uniform", eight, num_beams=200),
    compare("with EOS", eight, num_beams=7),
    compare("with EOS", eight, num_beams=7, scoring="renormalised"),
    compare("three first symbols", eight, num_beams=7),
    compare("one docid", eight, num_beams=2),
    compare("with EOS", both, num_beams=7, batch_axis="data"),
  ]
  trie = Trie.build(codes_of("uniform"), 8)
  parts = ShardedTrie.place(trie, eight, "docids").parts
  shards = {shard.data.shape for shard in parts.rows.addressable_shards}
  print(json.dumps({"cases": report, "shards": sorted(shards)}))


if __name__ == "__main__":
  main()
