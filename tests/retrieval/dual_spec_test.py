import pytest

from genret.core.errors import ArtifactError
from genret.models.sizes import SIZES
from genret.retrieval import dual_spec
from genret.retrieval.dual_spec import DualSpec

SPEC = DualSpec(
  model=SIZES["tiny"],
  scoring="late",
  dim=128,
  temperature=0.05,
  input_length=64,
  document_length=128,
  docnos="0a",
)


def test_what_is_saved_is_loaded(tmp_path):
  assert not dual_spec.is_dual(tmp_path)
  SPEC.save(tmp_path)
  assert dual_spec.is_dual(tmp_path)
  assert DualSpec.load(tmp_path) == SPEC
  assert SPEC.scheme == "late-interaction"


def test_a_folder_without_one_names_the_command(tmp_path):
  with pytest.raises(ArtifactError, match="or run genret dual_encoder"):
    DualSpec.load(tmp_path)


def test_a_damaged_file_is_named(tmp_path):
  (tmp_path / dual_spec.SPEC).write_text('{"format_version": 1}')
  with pytest.raises(ArtifactError, match="dual_encoder.json is damaged"):
    DualSpec.load(tmp_path)
