"""Checkpoints that t5x wrote: what our T5 computes with them, and back."""

import dataclasses

import numpy as np
import pytest
from flax import traverse_util

from genret.core.errors import ArtifactError
from genret.interop import shapes, t5x
from genret.interop.t5x import T5xCheckpoint
from genret.models.t5 import T5

LAYOUTS = ("legacy", "orbax", "scanned")


def raw(checkpoint):
  """Returns every array that a checkpoint's folder holds, as t5x names it."""
  from genret.interop import orbax_tree, t5x_legacy

  if (checkpoint / "checkpoint").exists():
    leaves = t5x_legacy.read(checkpoint)
  else:
    leaves = orbax_tree.read(checkpoint / "state")
  return {name: leaf.read() for name, leaf in leaves.items()}


def assert_same(found, expected):
  assert found.keys() == expected.keys()
  for name, array in expected.items():
    assert found[name].dtype == array.dtype, name
    assert found[name].tobytes() == array.tobytes(), name
    assert found[name].shape == array.shape, name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_our_t5_computes_what_theirs_does(t5x_golden, t5x_values, layout):
  checkpoint = T5xCheckpoint.open(t5x_golden / layout)
  assert checkpoint.step == 1
  assert checkpoint.layout == ("legacy" if layout == "legacy" else "orbax")
  params = {name: leaf.read() for name, leaf in checkpoint.params.items()}
  config = shapes.config_of(checkpoint.params, dropout_rate=0.0)
  logits = T5(config).apply(
    {"params": traverse_util.unflatten_dict(params, sep="/")},
    t5x_values["encoder_input_tokens"],
    t5x_values["decoder_input_tokens"],
  )
  theirs = "logits_scanned" if layout == "scanned" else "logits"
  real = t5x_values["decoder_target_tokens"] > 0
  np.testing.assert_allclose(
    logits[real], t5x_values[theirs][real], rtol=1e-5, atol=1e-5
  )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_there_and_back_changes_no_bit(t5x_golden, tmp_path, layout):
  source = t5x_golden / layout / "checkpoint_1"
  done = []
  checkpoint = T5xCheckpoint.open(source)
  back = checkpoint.write(tmp_path, advance=done.append)
  assert back == tmp_path / "checkpoint_1"
  assert_same(raw(back), raw(source))
  assert sum(done) == sum(array.nbytes for array in raw(source).values())


def test_one_layout_becomes_the_other(t5x_golden, tmp_path):
  checkpoint = T5xCheckpoint.open(t5x_golden / "legacy")
  back = dataclasses.replace(checkpoint, layout="orbax").write(tmp_path)
  assert_same(raw(back), raw(t5x_golden / "orbax" / "checkpoint_1"))


def test_opens_the_newest(t5x_golden, tmp_path):
  checkpoint = T5xCheckpoint.open(t5x_golden / "legacy")
  for step in (9, 10):
    dataclasses.replace(checkpoint, step=step, state={}).write(tmp_path)
  assert T5xCheckpoint.open(tmp_path).step == 10
  assert T5xCheckpoint.open(tmp_path / "checkpoint_9").step == 9
  assert t5x.is_checkpoint(tmp_path)


def test_another_folder_is_named(tmp_path):
  assert not t5x.is_checkpoint(tmp_path)
  with pytest.raises(ArtifactError, match="no checkpoint of t5x"):
    T5xCheckpoint.open(tmp_path)
