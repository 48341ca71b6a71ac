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
