import hashlib

from genret.core import shares


def test_the_first_eight_bytes_of_sha_256():
  for text in ("", "d1", "Zürich"):
    digits = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
    assert shares.number_of(text) == int(digits, 16)
    assert shares.fraction_of(text) == int(digits, 16) / 2**64


def test_a_share_is_about_its_size():
  drawn = [shares.fraction_of(f"d{i}") < 0.2 for i in range(5_000)]
  assert abs(sum(drawn) / 5_000 - 0.2) < 0.02
