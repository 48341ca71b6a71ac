import dataclasses
import json

import numpy as np
import pytest

from genret.core import artifacts
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import shapes, weights
from genret.interop.leaves import Leaf
from genret.interop.stacked import Stacking
from genret.interop.t5x import T5xCheckpoint
from genret.interop.weights import Origin, Weights

TABLE = DocidTable(
  codes=np.array([[2], [3], [4]], np.uint16),
  docnos=["a", "b", "c"],
  vocab_size=5,
  scheme="hand",
)


@pytest.fixture
def found(t5x_golden):
  checkpoint = T5xCheckpoint.open(t5x_golden / "legacy")
  return Weights(
    config=shapes.config_of(checkpoint.params),
    params=checkpoint.params,
    state=checkpoint.state,
    origin=Origin(
      format="t5x",
      step=1,
      stacking=Stacking(num_heads=2, bias_in_layers=False),
    ),
  )


@pytest.fixture
def folder(found, tmp_path):
  recipe = artifacts.Recipe(stage=weights.STAGE)
  with artifacts.building(tmp_path / "w", recipe) as draft:
    found.save(draft)
  return tmp_path / "w"


def test_loads_what_it_saved(found, folder):
  back = Weights.load(folder)
  for name in ("config", "origin", "docids"):
    assert getattr(back, name) == getattr(found, name)
  for part in ("params", "state"):
    ours, theirs = getattr(back, part), getattr(found, part)
    assert ours.keys() == theirs.keys()
    for name, leaf in theirs.items():
      np.testing.assert_array_equal(ours[name].read(), leaf.read())
  assert back.num_bytes == found.num_bytes > 0


def test_a_damaged_header_is_named(folder):
  header = json.loads((folder / weights.HEADER).read_text())
  del header["origin"]
  (folder / weights.HEADER).write_text(json.dumps(header))
  with pytest.raises(ArtifactError, match=r"t5\.json is damaged"):
    Weights.load(folder)


def test_one_docid_symbol_needs_one_embedding(found):
  fitted, fresh = weights.with_docids(found, TABLE, digest="x", seed=0)
  assert fresh == weights.FRESH
  assert fitted.params[fresh[0]].shape == (1, 8)
  assert fitted.params[fresh[1]].shape == (8, 128)
  again, none = weights.with_docids(fitted, TABLE, digest="x", seed=1)
  assert none == ()
  for name in fresh:
    np.testing.assert_array_equal(
      again.params[name].read(), fitted.params[name].read()
    )


def test_the_seed_decides_what_starts_anew(found):
  heads = [
    weights.with_docids(found, TABLE, digest="x", seed=seed)[0]
    .params[weights.FRESH[1]]
    .read()
    for seed in (0, 0, 1)
  ]
  np.testing.assert_array_equal(heads[0], heads[1])
  assert (heads[0] != heads[2]).any()


def test_docids_of_text_keep_the_head(found):
  table = dataclasses.replace(TABLE, vocab_size=32, text_vocabulary=True)
  fitted, fresh = weights.with_docids(found, table, digest="x", seed=0)
  assert fresh == ()
  assert fitted.params.keys() == found.params.keys()
  assert fitted.config.docid_length == 1
  assert fitted.config.docid_vocab_size is None
  # The head writes any text, so other docids of text are as good.
  assert fitted.docids is None
  again, _ = weights.with_docids(
    dataclasses.replace(fitted, docids="as older ones have"),
    table,
    digest="y",
    seed=0,
  )
  assert again.params.keys() == found.params.keys()


def test_a_head_that_is_not_rounded_up_stays_as_wide(found):
  params = dict(found.params)
  params[weights.FRESH[0]] = Leaf.of(np.ones((1, 8), np.float32))
  params[weights.FRESH[1]] = Leaf.of(np.ones((8, 5), np.float32))
  narrow = dataclasses.replace(
    found, config=shapes.config_of(params), params=params
  )
  assert narrow.config.head_multiple == 1
  fitted, fresh = weights.with_docids(narrow, TABLE, digest="x", seed=0)
  assert fresh == ()
  assert fitted.config.head_width == 5
  assert fitted.docids == "x"


def test_other_docids_are_refused(found):
  fitted, _ = weights.with_docids(found, TABLE, digest="x" * 64, seed=0)
  with pytest.raises(ConfigError, match="other docids"):
    weights.with_docids(fitted, TABLE, digest="y" * 64, seed=0)


def test_a_head_of_another_width_is_refused(found):
  fitted, _ = weights.with_docids(found, TABLE, digest="x", seed=0)
  wide = dataclasses.replace(TABLE, vocab_size=300)
  with pytest.raises(ArtifactError, match=r"logits_dense.*\[8, 128\]"):
    weights.with_docids(
      dataclasses.replace(fitted, docids=None), wide, digest="y", seed=0
    )
