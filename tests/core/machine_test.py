import os

from genret.core import machine


def test_the_machine_is_named():
  found = machine.describe("1 x cpu")
  assert found["cpu"] and found["system"]
  assert 1 <= found["cores"] <= os.cpu_count()
  assert found["device"] == "1 x cpu"
  assert machine.describe()["device"] is None
