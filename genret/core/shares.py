"""Chance that anybody can draw again: numbers by the hash of a text."""

import hashlib


def number_of(text: str) -> int:
  """Returns a number below 2**64, the first 8 bytes of the text's SHA-256.

  >>> number_of("d1") % 5
  1
  """
  return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def fraction_of(text: str) -> float:
  """Returns a number from 0 to 1; below s for a share s of all texts.

  >>> round(fraction_of("d1"), 3)
  0.544
  """
  return number_of(text) / 2**64
