"""The weights of a T5 as an artifact, wherever they come from.

    t5.json                  the T5's shape, its docids, the origin
    parameters.safetensors   by our names, in the precision they came in
    optimizer.safetensors    what the optimizer of t5x kept, by t5x's names,
                             so that a checkpoint can go back whole

Safetensors, since it is written and memory-mapped array by array, and says
of each array what it is.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from genret.core import artifacts
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import safetensors_file, stacked
from genret.interop.leaves import Leaf
from genret.interop.stacked import Stacking
from genret.models.t5 import T5, T5Config

STAGE = "convert"
PRETRAINED = "pretrain"
GENERATOR = "generator fold"
"""The other stages whose artifact is such weights."""
FORMAT_VERSION = 1
HEADER = "t5.json"
PARAMETERS = "parameters.safetensors"
OPTIMIZER = "optimizer.safetensors"
FRESH = ("decoder/docid_embedder/embedding", "decoder/logits_dense/kernel")
"""What no checkpoint of text has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
  """Where weights came from, so that they can go back as they were.

  Attributes:
    format: "t5x", "huggingface" or "genret".
    layout: t5x's layout, "legacy" or "orbax".
    step: of the training.
    stacking: how t5x's layers were stacked.
  """

  format: str
  layout: str | None = None
  step: int = 0
  stacking: Stacking | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
  """The parameters of a T5, read one at a time.

  Attributes:
    config: the T5's shape.
    params: by our names.
    state: of t5x's optimizer, by its names; mostly empty.
    origin: where they came from.
    docids: SHA-256 of the docid codes that the head is for; None where it is
      for text, which any docids of text can be written with.
  """

  config: T5Config
  params: dict[str, Leaf]
  origin: Origin
  state: dict[str, Leaf] = dataclasses.field(default_factory=dict)
  docids: str | None = None

  @property
  def num_bytes(self) -> int:
    """Bytes of all arrays."""
    leaves = (*self.params.values(), *self.state.values())
    return sum(leaf.num_bytes for leaf in leaves)

  def tree(self) -> dict[str, Any]:
    """Reads all parameters: the tree of `T5`, float32."""
    flat = {
      name: np.asarray(leaf.read(), np.float32)
      for name, leaf in self.params.items()
    }
    return traverse_util.unflatten_dict(flat, sep="/")

  def save(
    self, folder: Path, *, advance: Callable[[int], Any] = lambda _: None
  ) -> None:
    """Writes the files of the artifact, all but its manifest."""
    origin = dataclasses.asdict(self.origin)
    origin["stacking"] = stacked.to_json(self.origin.stacking)
    header = {
      "format_version": FORMAT_VERSION,
      "model": dataclasses.asdict(self.config),
      "docids": self.docids,
      "origin": origin,
    }
    artifacts.write_json(folder / HEADER, header)
    safetensors_file.write(folder / PARAMETERS, self.params, advance=advance)
    if self.state:
      safetensors_file.write(folder / OPTIMIZER, self.state, advance=advance)

  @classmethod
  def load(cls, folder: Path) -> Self:
    """Opens the artifact of an import.

    Raises:
      ArtifactError: there is none, or it is damaged or of another format.
    """
    folder = Path(folder)
    made_by = artifacts.load(folder).stage
    artifacts.load(
      folder,
      stage=made_by if made_by in (PRETRAINED, GENERATOR) else STAGE,
      format_version=FORMAT_VERSION,
    )
    try:
      header = artifacts.read_json(folder / HEADER)
      origin = header["origin"]
      origin["stacking"] = stacked.from_json(origin["stacking"])
      optimizer = folder / OPTIMIZER
      return cls(
        config=T5Config.from_json(header["model"]),
        params=safetensors_file.read(folder / PARAMETERS),
        state=safetensors_file.read(optimizer) if optimizer.exists() else {},
        origin=Origin(**origin),
        docids=header["docids"],
      )
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
      raise ArtifactError(
        f"{folder / HEADER} is damaged: {error!r}. Convert anew."
      ) from error


def with_docids(
  weights: Weights, table: DocidTable, *, digest: str, seed: int
) -> tuple[Weights, tuple[str, ...]]:
  """Fits weights to a docid table.

  Docids with a vocabulary of their own have an embedding and a head that no
  checkpoint of text has: exactly these start anew. A checkpoint that has the
  docid embedding was trained on docids, and keeps both.

  Args:
    weights: of any origin.
    table: the docids.
    digest: SHA-256 of their codes.
    seed: of what starts anew.

  Returns:
    The weights, and the names of those that start anew.

  Raises:
    ConfigError: the weights are of other docids.
    ArtifactError: a parameter has another shape than these docids need.
  """
  known = weights.docids if weights.config.docid_vocab_size else None
  if known not in (None, digest):
    raise ConfigError(
      f"The head is of other docids ({known[:12]}…) than those given"
      f" ({digest[:12]}…)."
    )
  config = dataclasses.replace(
    weights.config,
    docid_vocab_size=None if table.text_vocabulary else table.vocab_size,
    docid_length=table.length,
    level_starts=table.level_starts,
  )
  own = FRESH[0] in weights.params or table.text_vocabulary
  fresh = () if own else FRESH
  if fresh and config.head_multiple == 1:
    config = dataclasses.replace(config, head_multiple=128)
  new = _initial(config, fresh, seed=seed)
  params = {
    name: leaf for name, leaf in weights.params.items() if name not in fresh
  }
  params |= {name: new[name] for name in fresh}
  _check_shapes(params, new)
  fitted = dataclasses.replace(
    weights,
    config=config,
    params=params,
    docids=None if table.text_vocabulary else digest,
    state={} if fresh else weights.state,
  )
  return fitted, fresh


def _initial(
  config: T5Config, fresh: tuple[str, ...], *, seed: int
) -> dict[str, Leaf]:
  """Returns all parameters a T5 starts with; only `fresh` can be read."""

  def init(key: jax.Array) -> dict[str, jax.Array]:
    ids = jnp.ones((1, 2), jnp.int32)
    params = T5(config).init(key, ids, ids)["params"]
    return traverse_util.flatten_dict(dict(params), sep="/")

  key = jax.random.key(seed)

  def value(name: str) -> np.ndarray:
    # XLA drops the others, which nobody asks for.
    return np.asarray(jax.jit(lambda key: init(key)[name])(key))

  return {
    name: Leaf(
      shape=leaf.shape,
      dtype=np.dtype(leaf.dtype),
      read=lambda name=name: value(name),
    )
    for name, leaf in jax.eval_shape(init, key).items()
  }


def _check_shapes(found: dict[str, Leaf], wanted: dict[str, Leaf]) -> None:
  for name, leaf in wanted.items():
    if name not in found:
      raise ArtifactError(f"The weights have no parameter {name!r}.")
    if found[name].shape != leaf.shape:
      raise ArtifactError(
        f"{name!r} has shape {list(found[name].shape)}; a T5 for these docids"
        f" has {list(leaf.shape)}. Were they made anew since?"
      )
