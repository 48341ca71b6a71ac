import ml_dtypes
import numpy as np
import pytest

from genret.core.errors import DataError
from genret.interop import safetensors_file
from genret.interop.leaves import Leaf

ARRAYS = {
  "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
  "b": np.array([1.5, -2], ml_dtypes.bfloat16),
  "step": np.array(7, np.int32),
  "none": np.zeros((0, 4), np.float16),
}


@pytest.fixture
def path(tmp_path):
  path = tmp_path / "x.safetensors"
  safetensors_file.write(path, {n: Leaf.of(a) for n, a in ARRAYS.items()})
  return path


def check(found):
  assert list(found) == list(ARRAYS)
  for name, array in ARRAYS.items():
    value = found[name]
    assert value.dtype == array.dtype
    np.testing.assert_array_equal(value, array)


def test_reads_what_it_wrote(path):
  leaves = safetensors_file.read(path)
  check({name: leaf.read() for name, leaf in leaves.items()})
  assert isinstance(leaves["a/kernel"].read(), np.memmap)


def test_the_library_reads_what_it_wrote(path):
  library = pytest.importorskip("safetensors.numpy")
  found = library.load_file(path)
  check({name: found[name] for name in ARRAYS})


def test_reads_what_the_library_wrote(tmp_path):
  library = pytest.importorskip("safetensors.numpy")
  library.save_file(ARRAYS, tmp_path / "y", metadata={"format": "np"})
  leaves = safetensors_file.read(tmp_path / "y")
  check({name: leaves[name].read() for name in ARRAYS})


def test_arrays_are_read_in_turn_and_counted(tmp_path):
  log = []

  def leaf(name):
    array = ARRAYS[name]
    return Leaf(
      shape=array.shape,
      dtype=array.dtype,
      read=lambda: log.append(name) or array,
    )

  safetensors_file.write(
    tmp_path / "z", {name: leaf(name) for name in ARRAYS}, advance=log.append
  )
  assert log == ["a/kernel", 24, "b", 4, "step", 4, "none", 0]


@pytest.mark.parametrize(
  "content", [b"", b"\xff" * 40, b"\2" + bytes(7) + b"[]"]
)
def test_another_file_is_named(tmp_path, content):
  (tmp_path / "x").write_bytes(content)
  with pytest.raises(DataError, match=r"/x: is no whole safetensors"):
    safetensors_file.read(tmp_path / "x")


def test_a_file_cut_short_is_named(path):
  path.write_bytes(path.read_bytes()[:-3])
  with pytest.raises(DataError, match="ends before"):
    safetensors_file.read(path)
