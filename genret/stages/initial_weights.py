"""Weights that a run of training starts from, in place of all chance."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from tqdm import tqdm

from genret.core import artifacts
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import weights
from genret.interop.weights import Weights
from genret.models.dual_encoder import PROJECTION
from genret.models.t5 import T5Config
from genret.retrieval import model_folder
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.model_folder import ModelSpec
from genret.stages import convert
from genret.training import cluster

PREFIX_AWARE = "decoder/pawa"
"""All that a prefix-aware head adds to a T5."""
_SHAPE = (
  "vocab_size",
  "emb_dim",
  "num_heads",
  "head_dim",
  "mlp_dim",
  "num_encoder_layers",
  "num_decoder_layers",
  "relpos_buckets",
  "relpos_max_distance",
)
"""What two T5s must share for the parameters of one to fit the other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitialWeights:
  """The weights of a folder, fitted to the docids of a run.

  Attributes:
    folder: What `genret convert` wrote, or a finished model folder, of which
      the best checkpoint is taken.
    table: The docids of the run; None where only the encoder is read.
    spec: The model of the run.
  """

  folder: Path
  table: DocidTable | None
  spec: ModelSpec | DualSpec

  @property
  def identity(self) -> str:
    """The artifact's; reads its manifest and no weights.

    Raises:
      ArtifactError: If the folder is no artifact.
    """
    try:
      return artifacts.identity(self.folder)
    except ArtifactError as error:
      raise ArtifactError(
        f"{error} Training starts from what `genret convert --source=…` wrote,"
        " or from a finished model folder."
      ) from error

  def check(self, out: Path) -> None:
    """Sees to it that the weights fit, unless a run goes on that has begun.

    Args:
      out: The model folder of the run.

    Raises:
      ArtifactError: If the folder holds no weights.
      ConfigError: If they are of a T5 of another shape, or of other docids.
    """
    if not any((Path(out) / model_folder.CHECKPOINTS).glob("[0-9]*")):
      _ = self._fitted

  @functools.cached_property
  def _fitted(self) -> tuple[Weights, tuple[str, ...]]:
    """The weights, and the names of those that start anew."""
    found = convert.opened(self.folder)
    shape = functools.partial(_shape, decoder=self.table is not None)
    _refuse_other_shape(
      self.folder, shape(found.config), shape(self.spec.model)
    )
    if self.table is None:
      return found, () if self.spec.dim is None else (PROJECTION,)
    if found.config.pawa not in (None, self.spec.model.pawa):
      raise ConfigError(
        f"{self.folder} has a prefix-aware head, {found.config.pawa}, and the"
        f" run's model has {self.spec.model.pawa}; set T5Config.pawa to that."
      )
    fitted, fresh = weights.with_docids(
      found, self.table, digest=self.spec.docids, seed=0
    )
    theirs, ours = fitted.config.head_width, self.spec.model.head_width
    if theirs != ours and not fresh:
      raise ConfigError(
        f"The head in {self.folder} has {theirs:,} columns and the run's has"
        f" {ours:,}. Set T5Config.head_multiple as it was there:"
        f" {found.config.head_multiple}."
      )
    if found.config.pawa is None and self.spec.model.pawa is not None:
      fresh = (*fresh, PREFIX_AWARE)
    return fitted, fresh

  def prepare(self, params: Any) -> Any:
    """Puts the weights in place of fresh parameters, one at a time.

    Args:
      params: Of the run, on its mesh; consumed.

    Returns:
      The parameters to start from, split as they were. Those that the weights
      lack are as they came.
    """
    fitted, fresh = self._fitted
    if cluster.is_first():
      print(
        f"starting from {self.folder}, step {fitted.origin.step:,};"
        f" anew: {', '.join(fresh) or 'nothing'}"
      )
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    with tqdm(
      total=len(flat),
      desc="initial weights",
      delay=2.0,
      disable=not cluster.is_first(),
    ) as bar:
      for name in flat:
        if not name.startswith(fresh):
          flat[name] = placed(fitted.params[name].read, flat[name])
        bar.update()
    return traverse_util.unflatten_dict(flat, sep="/")


def _shape(config: T5Config, *, decoder: bool) -> dict[str, Any]:
  shape = {name: getattr(config, name) for name in _SHAPE}
  if not decoder:
    del shape["num_decoder_layers"]
  if config.encoder is None:
    return shape
  del shape["num_encoder_layers"]  # says nothing
  encoder = config.encoder
  shape["encoder.vocabulary"] = encoder.vocabulary
  shape["encoder.lexical_dim"] = encoder.lexical_dim
  for name, value in dataclasses.asdict(encoder.bert).items():
    shape[f"encoder.bert.{name}"] = value
  return shape


def _refuse_other_shape(
  folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
  differing = [
    f"{name} is {_said(found, name)} there and {_said(wanted, name)} here"
    for name in dict.fromkeys((*wanted, *found))
    if found.get(name) != wanted.get(name)
  ]
  if differing:
    raise ConfigError(
      f"{folder} holds a T5 of another shape than the run's:"
      f" {'; '.join(differing)}. Take the MODEL of its size, as"
      " --gin_file=models/t5_1_1_base.gin does."
    )


def _said(shape: Mapping[str, Any], name: str) -> str:
  value = shape.get(name, "nothing")
  return f"{value:,}" if isinstance(value, int) else str(value)


def placed(read: Callable[[], np.ndarray], fresh: jax.Array) -> jax.Array:
  """Reads an array to where a fresh one lies, which it frees first.

  Args:
    read: Returns the array, of the fresh one's shape.
    fresh: Is consumed.
  """
  shape, dtype, sharding = fresh.shape, fresh.dtype, fresh.sharding
  fresh.delete()
  array = read()
  assert array.shape == shape, (array.shape, shape)
  # A copy of each part, since a step writes where its parameters lie.
  return jax.make_array_from_callback(
    shape, sharding, lambda part: np.array(array[part], dtype)
  )
