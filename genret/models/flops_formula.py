"""What is commonly written of operations: 2 a parameter and token, or 6.

A token that passes through n parameters costs 2n operations one way, and 6n
in training, where the way back costs twice the way there. Attention's own
products are left out, so it is little beside what a program counts where
inputs are long; embeddings are looked up and cost nothing.
"""

from collections.abc import Mapping
from typing import Any

import jax

from genret.models import shapes
from genret.models.sizes import T5Config

FORWARD, TRAINING = 2, 6
_LOOKED_UP = "encoder/bert/embeddings"


def multiplied(config: T5Config) -> dict[str, int]:
  """Counts the parameters of a T5 by part, without tables: `without_tables`.

  Args:
    config: Of the model.
  """
  return without_tables(shapes.abstract(config)["params"])


def without_tables(params: Mapping[str, Any]) -> dict[str, int]:
  """Counts parameters by part, but for the tables of a sentence encoder.

  A T5's own tables are parts by themselves.

  Args:
    params: A parameter tree, abstract or not.
  """
  counts: dict[str, int] = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    if not name.startswith(_LOOKED_UP):
      part = shapes.part_of(name)
      counts[part] = counts.get(part, 0) + leaf.size
  return counts


def query(
  counts: Mapping[str, int],
  *,
  input_length: int,
  docid_length: int,
  num_beams: int,
) -> int:
  """Returns the operations of searching one query.

  The encoder reads L tokens; decoder and head read one slot at the first
  position and K at each of the T - 1 others.

  >>> query({"encoder": 10, "decoder": 5, "head": 3}, input_length=4,
  ...   docid_length=3, num_beams=2)
  160

  Args:
    counts: Parameters by part, as `multiplied` has them.
    input_length: L.
    docid_length: T.
    num_beams: K.
  """
  slots = 1 + (docid_length - 1) * num_beams
  written = _written(counts, docid_length) * slots
  return FORWARD * (counts["encoder"] * input_length + written)


def step(
  counts: Mapping[str, int],
  *,
  rows: int,
  input_length: int,
  target_length: int,
  docid_length: int,
  encoder_passes: int = TRAINING,
) -> int:
  """Returns the operations of a training step.

  >>> step({"encoder": 10, "decoder": 5, "head": 3}, rows=2, input_length=4,
  ...   target_length=1, docid_length=1)
  576

  Args:
    counts: Parameters by part.
    rows: Of a batch.
    input_length: Tokens of a row that the encoder reads.
    target_length: Symbols of a row.
    docid_length: T, symbols of a docid.
    encoder_passes: Operations a parameter of the encoder: 6; 2 where it is
      frozen; 0 where what it makes is kept.
  """
  read = encoder_passes * counts["encoder"] * input_length
  written = _written(counts, docid_length) * target_length
  return rows * (read + TRAINING * written)


def _written(counts: Mapping[str, int], docid_length: int) -> int:
  """Returns the parameters that a symbol passes through.

  Those of a prefix-aware head are of a level each, and a symbol is of one.
  """
  plain = (counts.get(n, 0) for n in ("decoder", "head", "prefix adaptor"))
  return sum(plain) + counts.get("prefix-aware head", 0) // docid_length
