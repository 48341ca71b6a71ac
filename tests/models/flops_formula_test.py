"""The common formula, beside what programs count."""

import dataclasses

import pytest

from genret.embeddings.bert import BertConfig
from genret.models import flops_formula, shapes
from genret.models.encoder_config import EncoderConfig
from genret.models.query_flops import query_flops
from genret.models.sizes import SIZES, T5Config


def with_docids(config, length):
  return dataclasses.replace(config, docid_vocab_size=1000, docid_length=length)


def test_an_encoder_of_few_tokens_costs_about_what_is_counted():
  """Attention's own products are few there, and left out of the formula."""
  config = with_docids(SIZES["small"], 1)
  counts = flops_formula.multiplied(config)
  found = flops_formula.query(
    {"encoder": counts["encoder"]},
    input_length=16,
    docid_length=1,
    num_beams=10,
  )
  counted = query_flops(config, input_length=16, num_beams=10)
  assert found == pytest.approx(counted["encoder"], rel=0.02)


def test_tables_of_a_sentence_encoder_are_looked_up():
  bert = BertConfig(
    emb_dim=8,
    num_heads=2,
    mlp_dim=16,
    num_layers=1,
    vocab_size=50,
    max_positions=20,
  )
  config = with_docids(T5Config(emb_dim=8, encoder=EncoderConfig(bert=bert)), 2)
  counts = shapes.count_by_part(shapes.abstract(config)["params"])
  found = flops_formula.multiplied(config)
  tables = (50 + 20 + 2 + 2) * 8  # words, positions, kinds; a norm
  assert 0 < counts["encoder"] - found["encoder"] <= tables
  assert found == {k: found[k] for k in counts if counts[k]}
  assert all(found[k] == counts[k] for k in found if k != "encoder")


def test_a_level_of_a_prefix_aware_head_is_read_by_its_own_symbols():
  counts = {"encoder": 0, "decoder": 0, "head": 0, "prefix-aware head": 40}
  found = flops_formula.query(
    counts, input_length=1, docid_length=4, num_beams=2
  )
  assert found == 2 * 10 * 7
