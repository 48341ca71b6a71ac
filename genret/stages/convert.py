"""The conversion stage: weights of t5x, transformers and genret, each way."""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from genret.core import artifacts
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import huggingface, shapes, stacked, t5x, weights
from genret.interop.leaves import Leaf
from genret.interop.t5x import T5xCheckpoint
from genret.interop.weights import Origin, Weights
from genret.retrieval import model_folder
from genret.retrieval.model_folder import ModelSpec

_ANY_LENGTH = 2
_STEP_BYTES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig:
  """What weights are turned into.

  Attributes:
    to: "genret" (t5.json and safetensors, what training starts from), "t5x"
      (a checkpoint_N) or "huggingface" (model.safetensors and config.json).
    layout: of a t5x checkpoint, "legacy" or "orbax"; None for the one it
      came in, or orbax.
    optimizer_state: whether what t5x's optimizer kept comes along, where the
      target has a place for it. genret's own training does not read it.
    checkpoint: of a model folder: "best", "newest" or a step.
    seed: of the docid embedding and head, where these start anew.
  """

  to: Literal["genret", "t5x", "huggingface"] = "genret"
  layout: Literal["legacy", "orbax"] | None = None
  optimizer_state: bool = True
  checkpoint: str | int = "best"
  seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Converted:
  """What a conversion wrote.

  Attributes:
    path: the folder; for t5x its checkpoint_N.
    num_parameters: of the T5.
    initialised: parameters that no source has, and that start anew.
  """

  path: Path
  num_parameters: int
  initialised: tuple[str, ...]


def run(
  config: ConvertConfig,
  source: Path,
  *,
  docids: Path | None = None,
  out: Path,
  gin_text: str = "",
) -> Converted:
  """Converts weights, array by array.

  Args:
    config: what they are turned into.
    source: a checkpoint of t5x, a T5.1.1 of transformers (a folder or a
      safetensors file), what this stage wrote, or a model folder.
    docids: the folder of a docid table to fit the decoder to; None leaves the
      decoder as it is.
    out: the artifact's folder.
    gin_text: the configuration, for the provenance.

  Returns:
    What was written. An artifact that stands is not written again.

  Raises:
    ArtifactError: the source is none of these, or `out` holds something else.
    ConfigError: the target cannot hold the model.
  """
  source, out = Path(source), Path(out)
  found = opened(source, config.checkpoint)
  if not config.optimizer_state:
    found = dataclasses.replace(found, state={})
  found, fresh = _fitted(found, docids, seed=config.seed)
  if config.to != "genret" and found.config.encoder is not None:
    raise ConfigError(
      f"{source} has a sentence encoder in the place of T5's own, and no T5 of"
      f" {config.to} can hold it. Only --to=genret can."
    )
  if config.to == "huggingface":
    huggingface.check(found.config)
  recipe = _recipe(config, source, docids)
  if artifacts.existing(out, recipe) is None:
    with (
      artifacts.building(out, recipe, gin_text=gin_text) as folder,
      tqdm(
        total=found.num_bytes + (_STEP_BYTES if config.to == "t5x" else 0),
        desc=f"convert {source.name}",
        unit="B",
        unit_scale=True,
        dynamic_ncols=True,
      ) as bar,
    ):
      _write(found, folder, config=config, advance=bar.update)
  return Converted(
    path=t5x.newest(out) if config.to == "t5x" else out,
    num_parameters=sum(math.prod(p.shape) for p in found.params.values()),
    initialised=fresh,
  )


def opened(source: Path, checkpoint: str | int = "best") -> Weights:
  """Opens weights of any kind; nothing large is read yet.

  A model folder is the exception: orbax restores its parameters at once.

  Args:
    source: see `run`.
    checkpoint: of a model folder.
  """
  if (source / weights.HEADER).is_file():
    return Weights.load(source)
  if (source / model_folder.MODEL).is_file():
    return _of_model(source, checkpoint)
  if t5x.is_checkpoint(source):
    return _of_t5x(T5xCheckpoint.open(source))
  if huggingface.is_model(source):
    params = dict(sorted(huggingface.read(source).items()))
    return Weights(
      config=shapes.config_of(params),
      params=params,
      origin=Origin(format="huggingface"),
    )
  raise ArtifactError(
    f"{source} holds no weights that genret knows: no checkpoint of t5x, no"
    " safetensors of transformers, no conversion and no model folder. Give"
    " the folder itself, such as t5_1_1_base/checkpoint_1000000."
  )


def _of_t5x(checkpoint: T5xCheckpoint) -> Weights:
  # How long docids are is in no shape; `_fitted` sees to it that they are said.
  config = shapes.config_of(checkpoint.params, docid_length=_ANY_LENGTH)
  if weights.FRESH[0] not in checkpoint.params:
    config = dataclasses.replace(config, docid_length=None)
  return Weights(
    config=config,
    params=stacked.in_turn(checkpoint.params),
    state=dict(sorted(checkpoint.state.items())),
    origin=Origin(
      format="t5x",
      layout=checkpoint.layout,
      step=checkpoint.step,
      stacking=checkpoint.stacking,
    ),
  )


def _of_model(folder: Path, checkpoint: str | int) -> Weights:
  spec = ModelSpec.load(folder)
  step, params = model_folder.load_params(folder, spec, checkpoint)
  return Weights(
    config=spec.model,
    params={name: Leaf.of(array) for name, array in _flat(params).items()},
    origin=Origin(format="genret", step=step),
    docids=spec.docids if spec.model.docid_vocab_size else None,
  )


def _flat(tree: dict, prefix: str = "") -> dict:
  """Flattens a tree of parameters, sorted by path."""
  out = {}
  for name, value in sorted(tree.items()):
    inner = isinstance(value, dict)
    out |= _flat(value, f"{prefix}{name}/") if inner else {prefix + name: value}
  return out


def _fitted(
  found: Weights, docids: Path | None, *, seed: int
) -> tuple[Weights, tuple[str, ...]]:
  if docids is not None:
    table = DocidTable.load(Path(docids))
    digest = model_folder.codes_hash(Path(docids))
    return weights.with_docids(found, table, digest=digest, seed=seed)
  if weights.FRESH[0] in found.params and found.docids is None:
    raise ConfigError(
      "The decoder of these weights has docids of its own, but a checkpoint of"
      " t5x does not say which; give them, as --docids=FOLDER."
    )
  return found, ()


def _write(
  found: Weights,
  folder: Path,
  *,
  config: ConvertConfig,
  advance: Callable[[int], object],
) -> None:
  if config.to == "genret":
    found.save(folder, advance=advance)
  elif config.to == "huggingface":
    huggingface.write(folder, found.config, found.params, advance=advance)
  else:
    T5xCheckpoint(
      layout=config.layout or found.origin.layout or "orbax",
      step=found.origin.step,
      params=found.params,
      state=found.state,
      stacking=found.origin.stacking,
    ).write(folder, advance=advance)


def _recipe(
  config: ConvertConfig, source: Path, docids: Path | None
) -> artifacts.Recipe:
  inputs = {"source": _identity(source)}
  if docids is not None:
    inputs["docids"] = model_folder.codes_hash(Path(docids))
  settings = dataclasses.asdict(config)
  return artifacts.Recipe(
    stage=weights.STAGE,
    arguments=settings,
    seed=settings.pop("seed"),
    inputs=inputs,
    format_version=weights.FORMAT_VERSION,
  )


def _identity(source: Path) -> str:
  """Returns the identity of an artifact, or the hash of a folder's files."""
  if (source / artifacts.MANIFEST).is_file():
    return artifacts.identity(source)
  if source.is_file():
    return artifacts.file_hash(source)
  folder = t5x.newest(source)
  digest = hashlib.sha256()
  for path in sorted(path for path in folder.rglob("*") if path.is_file()):
    name = path.relative_to(folder).as_posix()
    digest.update(f"{name} {artifacts.file_hash(path)}\n".encode())
  return digest.hexdigest()
