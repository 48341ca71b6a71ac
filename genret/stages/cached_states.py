"""What is frozen, run once over all inputs before a run's first step."""

import functools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from tqdm import tqdm

from genret.core import artifacts, fingerprints
from genret.core.errors import ConfigError
from genret.models import encoders
from genret.models.t5 import T5Config
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.model_folder import ModelSpec
from genret.tasks import feed, states
from genret.tasks.examples import Examples
from genret.tasks.host_tensorflow import seqio

STAGE = "states"
FOLDER = "states"


def opened(
  wanted: bool,
  mixture: seqio.Mixture | str,
  spec: ModelSpec | DualSpec,
  *,
  out: Path,
  shared: Path | None = None,
  more: Mapping[str, Examples] | None = None,
) -> "CachedStates":
  """Checks that a run can read states, if it wants to.

  Args:
    wanted: `TrainConfig.cache_states`; else there are states of no task.
    mixture: What is trained on, of `mixtures.build`.
    spec: Of the model, whose encoder is frozen, at least in part.
    out: The model folder.
    shared: Folder that keeps states for other runs; None keeps them in the
      model folder until the run ends.
    more: What else the run reads, by a name of its own.

  Raises:
    ConfigError: If nothing is frozen, the texts are not known beforehand, the
      run has several processes, or a folder is named and states are not wanted.
  """
  examples = {}
  if wanted:
    check(spec.model)
    examples = {**feed.examples_of(mixture), **(more or {})}
  elif shared is not None:
    raise ConfigError(
      f"{shared} is to keep states of the inputs, and this run computes them in"
      " every step. Set TrainConfig.cache_states (--cache_states), or name no"
      " folder."
    )
  folder = out / FOLDER if shared is None else Path(shared)
  return CachedStates(
    examples, model=spec.model, folder=folder, keep=shared is not None
  )


class CachedStates:
  """The states that a run reads in place of running what is frozen.

  Each task's lie in a folder named by what they are computed from: the tokens
  and the frozen parameters. So a run that was killed goes on with those that
  are there, and runs of other docids may read the same. One run at a time
  fills a folder.

  Args:
    examples: Of each task, by its name; of none where states are not wanted.
    model: Of the run.
    folder: Of the states.
    keep: Whether they stay when the run ends.
  """

  def __init__(
    self,
    examples: Mapping[str, Examples],
    *,
    model: T5Config,
    folder: Path,
    keep: bool = False,
  ):
    self._examples = dict(examples)
    self._model = model
    self._folder = Path(folder)
    self._keep = keep

  @property
  def source(self) -> Callable[[], Mapping[str, Examples]] | None:
    """What `feed.training_batches` takes as its states."""
    return (lambda: self._examples) if self._examples else None

  @property
  def num_bytes(self) -> int:
    """What all states take on disk."""
    return sum(
      states.num_bytes(examples, self._model.encoder.bert.emb_dim)
      for examples in self._examples.values()
    )

  def fill(self, params: Any) -> None:
    """Computes the states that are not there yet, and says how large all are.

    Args:
      params: Of the run.

    Raises:
      ConfigError: If there is no room for them.
    """
    if not self._examples:
      return
    num_inputs = sum(e.num_examples for e in self._examples.values())
    tqdm.write(
      f"states of {num_inputs:,} inputs take {self.num_bytes / 1e9:,.2f} GB in"
      f" {self._folder}" + ("" if self._keep else " until the run ends")
    )
    frozen = self._frozen(params)
    digest = fingerprints.digest(frozen)
    recipes = {
      name: self._recipe(examples, digest)
      for name, examples in self._examples.items()
    }
    self._folder.mkdir(parents=True, exist_ok=True)
    self._check_room(recipes)
    tree = jax.device_put(traverse_util.unflatten_dict(frozen, sep="/"))
    for name, examples in self._examples.items():
      self._examples[name] = states.encoded_once(
        examples,
        lambda tokens: _encode(tree, tokens, config=self._model.plain),
        width=self._model.encoder.bert.emb_dim,
        max_length=self._model.encoder.bert.max_positions,
        folder=self._folder / recipes[name].key,
        recipe=recipes[name],
        label=name,
      )

  def remove(self) -> None:
    """Removes the states, and the folder, unless they are kept."""
    if not self._keep:
      shutil.rmtree(self._folder, ignore_errors=True)

  def _frozen(self, params: Any) -> dict[str, np.ndarray]:
    """Copies what is frozen to this process, wherever it lies."""
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    encoder = self._model.encoder
    return jax.device_get(
      {name: flat[name] for name in sorted(flat) if encoder.freezes(name)}
    )

  def _check_room(self, recipes: Mapping[str, artifacts.Recipe]) -> None:
    """Checks before the first task what all of them need."""
    files = {
      self._folder / recipe.key / states.NAME for recipe in recipes.values()
    }
    there = sum(path.stat().st_size for path in files if path.exists())
    states.check_room(self._folder, self.num_bytes - there)

  def _recipe(self, examples: Examples, digest: str) -> artifacts.Recipe:
    encoder = self._model.encoder
    return artifacts.Recipe(
      stage=STAGE,
      arguments={
        "bert": encoder.bert,
        "frozen_below": encoder.frozen_below,
        "dtype": self._model.dtype,
      },
      inputs={
        "parameters": digest,
        "texts": fingerprints.digest(
          {"tokens": examples.tokens, "offsets": examples.offsets}
        ),
      },
    )


def check(model: T5Config) -> None:
  """Refuses a model of which nothing is frozen, and several processes."""
  if model.encoder is None or model.encoder.frozen_below is None:
    raise ConfigError(
      "TrainConfig.cache_states keeps what the frozen part of an encoder makes"
      " of each input, and this model trains all of its encoder. Set"
      " EncoderConfig.frozen_below, or cache_states to False."
    )
  if jax.process_count() > 1:
    raise ConfigError(
      "TrainConfig.cache_states is for a run of one process; this one has"
      f" {jax.process_count()}. Set it to False."
    )


@functools.partial(jax.jit, static_argnames="config")
def _encode(params: Any, tokens: jax.Array, *, config: T5Config) -> jax.Array:
  found = encoders.frozen_states(params, config, tokens)
  return found.astype(jnp.float16)  # what is kept
