"""The msgpack layout: by hand, as t5x wrote it, and there and back."""

import numpy as np
import pytest
import tensorstore
from flax import serialization

from genret.core.errors import DataError
from genret.interop import t5x_legacy
from genret.interop.leaves import Leaf


def by_hand(folder, **kvstore):
  """Writes a checkpoint of one zarr array and one in the msgpack."""
  folder.mkdir()
  kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
  path = str(folder / "target.a.kernel") + "/"
  store = tensorstore.open(
    {
      "driver": "zarr",
      "kvstore": {"driver": "file", "path": path},
      "metadata": {"shape": [2, 3], "chunks": [1, 3], "dtype": "<f4"},
    },
    create=True,
  ).result()
  store.write(kernel).result()
  spec = {
    "driver": "zarr",
    "dtype": "float32",
    "kvstore": {"driver": "file", "path": "target.a.kernel/"} | kvstore,
    "metadata": {"shape": [2, 3], "chunks": [1, 3]},
  }
  content = {
    "version": 3,
    "optimizer": {
      "target": {"a": {"kernel": spec}, "b": np.ones(4, np.float32)},
      "state": {"step": np.array(5, np.int32), "param_states": {"b": None}},
    },
  }
  (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(content))
  return kernel


def test_reads_a_checkpoint_made_by_hand(tmp_path):
  kernel = by_hand(tmp_path / "checkpoint_5")
  leaves = t5x_legacy.read(tmp_path / "checkpoint_5")
  assert leaves.keys() == {"target/a/kernel", "target/b", "state/step"}
  assert leaves["target/a/kernel"].shape == (2, 3)
  np.testing.assert_array_equal(leaves["target/a/kernel"].read(), kernel)
  assert leaves["state/step"].read() == 5


def test_reads_a_checkpoint_copied_from_a_bucket(tmp_path):
  kernel = by_hand(
    tmp_path / "checkpoint_5", driver="gcs", bucket="t5x-dummy-bucket"
  )
  leaves = t5x_legacy.read(tmp_path / "checkpoint_5")
  np.testing.assert_array_equal(leaves["target/a/kernel"].read(), kernel)


def test_what_t5x_wrote_is_written_back_the_same(t5x_golden, tmp_path):
  source = t5x_golden / "legacy" / "checkpoint_1"
  t5x_legacy.write(tmp_path / "checkpoint_1", t5x_legacy.read(source))
  files = sorted(p.relative_to(source) for p in source.rglob("*"))
  back = tmp_path / "checkpoint_1"
  assert files == sorted(p.relative_to(back) for p in back.rglob("*"))
  different = {
    path.name
    for path in files
    if (source / path).is_file()
    and (source / path).read_bytes() != (back / path).read_bytes()
  }
  assert different == set()


def test_long_arrays_are_chunked_evenly():
  shape = (32128, 10240)
  chunk = t5x_legacy.chunk_shape(shape, 4)
  assert np.prod(chunk) * 4 <= t5x_legacy.CHUNK_BYTES
  assert all(size % part == 0 for size, part in zip(shape, chunk, strict=True))
  assert t5x_legacy.chunk_shape((512, 512), 4) == (512, 512)


def test_bfloat16_comes_back(tmp_path):
  import ml_dtypes

  array = np.arange(4).astype(ml_dtypes.bfloat16)
  t5x_legacy.write(tmp_path / "c", {"target/a": Leaf.of(array)})
  found = t5x_legacy.read(tmp_path / "c")["target/a"].read()
  assert found.dtype == array.dtype
  np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("content", [b"model_checkpoint_path: 'x'", b""])
def test_another_file_is_named(tmp_path, content):
  (tmp_path / "checkpoint").write_bytes(content)
  with pytest.raises(DataError, match=r"/checkpoint: is no msgpack"):
    t5x_legacy.read(tmp_path)
