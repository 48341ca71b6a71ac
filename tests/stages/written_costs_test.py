"""Parts, files and searches of a model that writes docids."""

import jax
import jax.numpy as jnp
import pytest

from genret.embeddings.bert import BertConfig
from genret.models import shapes
from genret.models.encoder_config import EncoderConfig
from genret.models.sizes import T5Config
from genret.stages import written_costs
from genret.stages.account import Search
from genret.stages.written_costs import Written


@pytest.fixture
def account(untrained, collection):
  return Written.of(untrained("semantic"), collection)


def test_parameters_are_counted_by_part(account):
  found = account.parameters()
  tree = shapes.abstract(account.spec.model)["params"]
  counts = shapes.count_by_part(tree)
  assert found == {
    **counts,
    "all": sum(counts.values()),
    "trained": sum(counts.values()),
  }


def test_frozen_parameters_are_not_trained():
  bert = BertConfig(
    emb_dim=8, num_heads=2, mlp_dim=16, num_layers=1, vocab_size=50
  )
  encoder = EncoderConfig(bert=bert, frozen_below=1)
  model = T5Config(emb_dim=8, encoder=encoder)
  tree = shapes.abstract(model)["params"]
  counts = written_costs.parameters(tree, encoder)
  assert counts["trained"] == counts["all"] - counts["encoder"]


def test_parts_that_no_t5_has_are_counted_by_their_names():
  tree = {"projection": {"kernel": jax.ShapeDtypeStruct((2, 3), jnp.float32)}}
  counts = written_costs.parameters(tree, None)
  assert counts["projection"] == counts["all"] == 6


def test_more_beams_cost_more_after_the_first_symbol(account):
  one, ten = (
    account.query(Search(num_beams=beams), compiled=False) for beams in (1, 10)
  )
  assert one["by_part"]["encoder"] == ten["by_part"]["encoder"]
  assert one["formula"] < ten["formula"] and one["counted"] < ten["counted"]
  assert one["compiled"] is None
