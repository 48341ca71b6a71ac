import hashlib

import numpy as np

from genret.core import fingerprints as module
from genret.core.docnos import Docnos


def fnv1a(octets):
  found = 0xCBF29CE484222325
  for octet in octets:
    found = (found ^ octet) * 0x100000001B3 % 2**64
  return found


def test_equals_the_definition(monkeypatch):
  monkeypatch.setattr(module, "_BLOCK", 4)
  strings = ["", "a", "Zürich", "d" * 40, *(f"D{i}" for i in range(95, 105))]
  docnos = Docnos.from_strings(strings)
  found = module.fingerprints(docnos._text, docnos._offsets)
  assert found.tolist() == [fnv1a(s.encode()) for s in strings]


def test_no_string_has_no_fingerprint():
  nothing = module.fingerprints(np.zeros(0, np.uint8), np.zeros(1, np.int64))
  assert nothing.shape == (0,) and nothing.dtype == np.uint64


def test_a_digest_by_hand():
  arrays = {"a": np.arange(6, dtype="<i4").reshape(2, 3).T, "b": np.zeros(0)}
  found = hashlib.sha256(b"a int32 (3, 2)")
  for number in (0, 3, 1, 4, 2, 5):
    found.update(number.to_bytes(4, "little"))
  found.update(b"b float64 (0,)")
  assert module.digest(arrays) == found.hexdigest()
