"""Our T5 and our search as a model of t5x; the one module that imports t5x.

`gin_configs/t5x/*.gin` hand it to `t5x.train`, `t5x.eval` and `t5x.infer`,
which then run the module, mixtures and constrained search of this package
under t5x's partitioner, optimizer and checkpoints.
"""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from t5x import adafactor, models, partitioning

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.decoding import atomic
from genret.decoding.atomic import AtomicIndex
from genret.decoding.beam_search import beam_search
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.selection import Scoring
from genret.decoding.trie import Trie
from genret.interop.t5x_tasks import DocidVocabulary
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5, T5Config
from genret.tasks.sources import text_vocabulary

NO_BEAM = -1e7
"""The score in places where there is no docid, as in t5x's own search."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
  """How docids are decoded.

  Attributes:
    num_beams: docids kept a step.
    all_beams: whether predictions are all of them, or the best alone.
    scoring: "raw" or "renormalised", as in `decoding.beam_search`.
  """

  num_beams: int = 10
  all_beams: bool = True
  scoring: Scoring = "raw"


def logical_axis_rules() -> list[tuple[str, str | None]]:
  """Returns t5x's rules of one dimension, and those of our own axes."""
  rules = partitioning.standard_logical_axis_rules()
  return [*rules, ("docid_symbols", None), ("level_symbols", None)]


def factor_rules() -> Any:
  """Returns what Adafactor factors: t5x's rules, and of our own axes."""
  rules = adafactor.standard_logical_factor_rules()
  return flax.core.freeze(
    {
      **rules,
      "docid_symbols": adafactor.FactorDim.COLUMN,
      "level_symbols": adafactor.FactorDim.BATCH,
    }
  )


def what_is_there(found: Any, wanted: Any, *, is_resuming: bool = False) -> Any:
  """Restores a checkpoint as it is, for t5x to fill up from scratch.

  t5x starts what a checkpoint lacks, such as Adafactor's state of a converted
  one, only where a transformation is named.
  """
  del wanted, is_resuming
  return found


class DocidModel(models.EncoderDecoderModel):
  """A T5 that writes the docids of a table.

  Args:
    config: the T5's shape; its docid fields are set from the table.
    docids: the docid table, or its folder.
    optimizer_def: t5x's optimizer.
    search: how docids are decoded.
    z_loss: weight of log(Z)².
    label_smoothing: t5x's, which spreads it over the head's whole width.
    loss_normalizing_factor: t5x's; None sums over target symbols.

  Raises:
    ConfigError: labels are to be smoothed over columns that only pad the head.
  """

  def __init__(
    self,
    config: T5Config,
    docids: DocidTable | str,
    optimizer_def: Any,
    *,
    search: Search = Search(),
    z_loss: float = 1e-4,
    label_smoothing: float = 0.0,
    loss_normalizing_factor: Any = None,
  ):
    if not isinstance(docids, DocidTable):
      docids = DocidTable.load(Path(docids))
    self.config = with_docids(config, docids)
    if label_smoothing and self.config.pawa is not None:
      raise ConfigError(
        "t5x would smooth labels over symbols of all levels, and"
        " T5Config.pawa masks those of others; set label_smoothing = 0."
      )
    if label_smoothing and self.config.head_width > self.config.num_symbols:
      raise ConfigError(
        f"t5x would smooth labels over all {self.config.head_width:,} columns"
        f" of the head; {self.config.num_symbols:,} are docid symbols. Set"
        " T5Config.head_multiple = 1, or label_smoothing = 0."
      )
    self.table = docids
    self.search = search
    super().__init__(
      module=T5(self.config),
      input_vocabulary=text_vocabulary(),
      output_vocabulary=DocidVocabulary(docids),
      optimizer_def=optimizer_def,
      z_loss=z_loss,
      label_smoothing=label_smoothing,
      loss_normalizing_factor=loss_normalizing_factor,
    )

  def get_initial_variables(
    self,
    rng: Array,
    input_shapes: Mapping[str, tuple[int, ...]],
    input_types: Mapping[str, Any] | None = None,
  ) -> Any:
    """Returns new parameters, and the logical axes of each."""
    del input_types  # ids are integers, whatever t5x has been told
    inputs, outputs = (
      jnp.ones(input_shapes[f"{side}_input_tokens"], jnp.int32)
      for side in ("encoder", "decoder")
    )
    return flax.core.freeze(self.module.init(rng, inputs, outputs))

  def _compute_logits(
    self,
    params: Any,
    batch: Mapping[str, Array],
    dropout_rng: Array | None = None,
    *,
    mutable: Any = False,
    other_variables: Any = None,
  ) -> Any:
    """Calls our module, whose arguments are named otherwise than t5x's."""
    return self.module.apply(
      {"params": params, **(other_variables or {})},
      batch["encoder_input_tokens"],
      batch["decoder_input_tokens"],
      encoder_segment_ids=batch.get("encoder_segment_ids"),
      decoder_segment_ids=batch.get("decoder_segment_ids"),
      encoder_positions=batch.get("encoder_positions"),
      deterministic=dropout_rng is None,
      rngs=None if dropout_rng is None else {"dropout": dropout_rng},
      mutable=mutable,
    )

  def predict_batch_with_aux(
    self,
    params: Any,
    batch: Mapping[str, Array],
    rng: Array | None = None,
    *,
    num_decodes: int | None = None,
    return_all_decodes: bool | None = None,
    **_: Any,
  ) -> tuple[Int[Array, "B *K T"], dict[str, Float[Array, "B *K"]]]:
    """Searches the docids of the table.

    Args:
      params: of the module.
      batch: with encoder_input_tokens.
      rng: not needed: the search draws nothing.
      num_decodes: in place of the search's `num_beams`.
      return_all_decodes: in place of its `all_beams`.

    Returns:
      Docids, padded with 0, and {"scores": their log-probabilities}. With all
      beams the best is the last, as everywhere in t5x; where there are fewer
      docids than beams the first are empty.
    """
    del rng
    num_beams = num_decodes or self.search.num_beams
    every = return_all_decodes
    every = self.search.all_beams if every is None else every
    stepper = T5Stepper.create(flax.core.unfreeze(params), self.config)
    placed, rows = jax.tree.map(jnp.asarray, self._docids)
    search = atomic.search if isinstance(placed, AtomicIndex) else beam_search
    beams = search(
      stepper,
      stepper.encode(batch["encoder_input_tokens"]),
      placed,
      num_beams=num_beams,
      scoring=self.search.scoring,
    )
    docids = jnp.where(beams.valid[..., None], rows[beams.rows], 0)  # [B, K, T]
    scores = jnp.where(beams.valid, beams.scores, NO_BEAM)
    if not every:
      return docids[:, 0], {"scores": scores[:, 0]}
    return docids[:, ::-1], {"scores": scores[:, ::-1]}

  @functools.cached_property
  def _docids(self) -> tuple[DeviceTrie | AtomicIndex, np.ndarray]:
    """Returns the docids as they are searched, on the host.

    They become constants of the program that t5x partitions: arrays of one
    device could not be, on several hosts.
    """
    trie = Trie.build(self.table.codes, self.table.vocab_size)
    kind = AtomicIndex if trie.length == 1 else DeviceTrie
    with jax.ensure_compile_time_eval():
      placed = jax.tree.map(np.asarray, kind.place(trie))
    return placed, trie.rows.astype(np.int32)


def with_docids(config: T5Config, table: DocidTable) -> T5Config:
  """Returns a configuration whose decoder writes the docids of a table."""
  own = None if table.text_vocabulary else table.vocab_size
  return dataclasses.replace(
    config,
    docid_vocab_size=own,
    docid_length=table.length,
    level_starts=table.level_starts,
  )
