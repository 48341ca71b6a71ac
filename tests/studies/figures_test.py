"""Figures of a cell, from the files that its commands wrote."""

import dataclasses

import pytest

from genret.models import shapes
from genret.models.sizes import SIZES
from genret.models.t5 import T5Config
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.model_folder import ModelSpec
from genret.studies import figures


def test_queries_are_parted_by_coverage(layout, prepared, cell_of):
  parts = figures.queries(layout, cell_of())
  assert parts["all"] == ("test-cat", "test-dog", "test-ship", "test-river")
  assert parts["covered"] == ("test-cat", "test-dog", "test-ship")
  assert parts["uncovered"] == ("test-river",)


def test_figures_of_each_query_are_read(layout, finish, cell_of):
  finish(cell_of(), [1, 2, 4, 1])
  found = figures.per_query(layout, cell_of())
  assert list(found) == ["RR@10", "R@1", "R@10"]
  assert found["RR@10"]["test-ship"] == 0.25
  parts = figures.queries(layout, cell_of())
  assert figures.means(found, parts["covered"])["R@1"] == pytest.approx(1 / 3)
  assert figures.means(found, parts["uncovered"])["R@1"] == 1


def test_queries_are_parted_by_training_queries(layout, prepared, cell_of):
  parts = figures.queries(layout, cell_of())
  assert parts["training queries: 0"] == parts["uncovered"]
  assert parts["training queries: 1"] == parts["covered"]
  assert parts["training queries: 8+"] == ()
  assert figures.PARTS == tuple(parts)


def test_queries_have_clusters(layout, prepared, cell_of):
  found = figures.clusters(layout, cell_of())
  assert found == {
    f"test-{topic}": ("document", topic)
    for topic in ["cat", "dog", "ship", "river"]
  }


def test_synthetic_queries_are_counted(
  study, layout, prepared, cell_of, tmp_path
):
  d2q = study.axes["inputs"]["d2q"]
  assert figures.synthetic_queries(layout, cell_of()) is None
  d2q.values["queries"] = str(tmp_path / "q.tsv")
  assert figures.synthetic_queries(layout, cell_of("d2q")) is None
  (tmp_path / "q.tsv").write_text("cat\twho\n" * 9 + "dog\twho\n")
  assert figures.synthetic_queries(layout, cell_of("d2q")) == 2.5
  d2q.flags["train"] += ("--gin.NUM_QUERIES=2",)
  assert figures.synthetic_queries(layout, cell_of("d2q")) == 0.75
  d2q.values["queries"] = "squad-smollm2"
  assert figures.synthetic_queries(layout, cell_of("d2q")) > 100


@pytest.mark.parametrize(
  ("values", "rise"),
  [
    ([], None),
    ([0.5], None),
    ([0.5, 0.75], 0.25),
    ([0.5, 0.25, 0.25, 0.625], 0.125),
  ],
)
def test_a_rise_is_that_of_the_last_third(values, rise):
  looks = [{"R@1": v} for v in values]
  assert figures.rise(looks, "R@1") == rise
  assert figures.rise(looks, "RR@10") is None


def test_parameters_are_counted_of_the_whole_model(tmp_path):
  model = T5Config(
    emb_dim=8,
    num_heads=1,
    head_dim=8,
    mlp_dim=8,
    num_encoder_layers=1,
    num_decoder_layers=1,
    docid_vocab_size=10,
    docid_length=1,
  )
  spec = ModelSpec(
    model=model,
    num_symbols=10,
    scheme="atomic",
    docids="0",
    input_length=8,
    scoring="raw",
    dev_measure=None,
  )
  spec.save(tmp_path)
  wider = dataclasses.replace(model, mlp_dim=9)
  dataclasses.replace(spec, model=wider).save(tmp_path / "wider")
  # Two gated feed-forward layers of three kernels, 8 numbers more in each.
  more = figures.parameters(tmp_path / "wider") - figures.parameters(tmp_path)
  assert more == 2 * 3 * 8


def test_a_dual_encoder_has_no_decoder_and_a_projection(tmp_path):
  DualSpec(
    model=SIZES["tiny"],
    scoring="mean",
    dim=32,
    temperature=0.05,
    input_length=64,
    document_length=128,
    docnos="0",
  ).save(tmp_path)
  parts = shapes.count_by_part(shapes.abstract(SIZES["tiny"])["params"])
  expected = parts["text embedding"] + parts["encoder"]
  expected += 32 * SIZES["tiny"].emb_dim
  assert figures.parameters(tmp_path) == expected
