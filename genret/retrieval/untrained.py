"""A retriever that has learned nothing: for examples, and to try things out."""

from typing import Any

import jax
import numpy as np

from genret.core.docid_table import DocidTable
from genret.decoding.selection import Scoring
from genret.decoding.trie import Trie
from genret.models import shapes
from genret.models.t5 import T5Config
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec


def untrained(
  table: DocidTable,
  *,
  scoring: Scoring = "raw",
  input_length: int = 16,
  seed: int = 0,
  **shape: Any,
) -> Retriever:
  """Makes a retriever of random parameters.

  It does all that a trained one does, and what it finds means nothing.

  >>> table = DocidTable(
  ...   codes=np.array([[2], [3]]), docnos="ab", vocab_size=4, scheme="any"
  ... )
  >>> retriever = untrained(table)
  >>> retriever.spec.scheme, retriever.docid("b")
  ('any', '3')

  Args:
    table: the docids.
    scoring: how docids are scored.
    input_length: the most tokens of a query, EOS included.
    seed: of the parameters.
    **shape: fields of `T5Config`, in the place of those of the smallest T5.
  """
  own = None if table.text_vocabulary else table.vocab_size
  smallest = {
    "emb_dim": 16,
    "num_heads": 2,
    "head_dim": 8,
    "mlp_dim": 32,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "docid_vocab_size": own,
    "docid_length": table.length,
    "level_starts": table.level_starts,
  }
  config = T5Config(**smallest | shape)
  spec = ModelSpec(
    model=config,
    num_symbols=table.vocab_size,
    scheme=table.scheme,
    docids="",
    input_length=input_length,
    scoring=scoring,
  )
  rng = np.random.default_rng(seed)
  params = jax.tree.map(
    lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype) / 2,
    shapes.abstract(config)["params"],
  )
  trie = Trie.build(table.codes, table.vocab_size)
  return Retriever(spec, params, table=table, trie=trie)
