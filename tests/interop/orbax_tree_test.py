import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest

from genret.core.errors import ArtifactError
from genret.interop import orbax_tree


@pytest.mark.parametrize("ocdbt", [True, False])
def test_reads_what_orbax_saved(tmp_path, ocdbt):
  tree = {
    "params": {"a": {"kernel": np.arange(6.0).reshape(2, 3)}},
    "half": np.array([1, 2], ml_dtypes.bfloat16),
    "step": np.array(3, np.int32),
    "empty": {},
  }
  saver = ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=ocdbt))
  saver.save(tmp_path / "state", args=ocp.args.PyTreeSave(tree))
  leaves = orbax_tree.read(tmp_path / "state")
  assert leaves.keys() == {"params/a/kernel", "half", "step"}
  for name, array in [
    ("params/a/kernel", tree["params"]["a"]["kernel"]),
    ("half", tree["half"]),
    ("step", tree["step"]),
  ]:
    assert (leaves[name].shape, leaves[name].dtype) == (
      array.shape,
      array.dtype,
    )
    np.testing.assert_array_equal(leaves[name].read(), array)


def test_another_folder_is_named(tmp_path):
  with pytest.raises(ArtifactError, match="no _METADATA"):
    orbax_tree.read(tmp_path)
