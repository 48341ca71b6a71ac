"""Hashes of parameters: of names, shapes and bytes."""

import hashlib

import numpy as np

from genret.stages import trained


def test_a_digest_by_hand():
  params = {"a": {"kernel": np.arange(4, dtype=np.float32).reshape(2, 2)}}
  expected = hashlib.sha256(b"['a']['kernel']" + b"(2, 2)")
  expected.update(np.arange(4, dtype=np.float32).tobytes())
  assert trained.digest(params) == expected.hexdigest()


def test_values_names_and_shapes_tell_apart():
  ones = np.ones(4, np.float32)
  others = [
    {"a": ones},
    {"b": ones},
    {"a": ones.reshape(2, 2)},
    {"a": ones * 2},
    {"a": ones.astype(np.float64)},
  ]
  assert len({trained.digest(params) for params in others}) == len(others)


def test_files_that_change_from_run_to_run_are_not_in_the_identity(tmp_path):
  for name in ("docids/codes.npy", "docids/provenance.json", "trie/trie.npz"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
  assert set(trained.identifying_files(tmp_path)) == {
    "model.json",
    "result.json",
    "docids/codes.npy",
    "trie/trie.npz",
  }
