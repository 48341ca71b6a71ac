"""What a dual encoder costs: its encoder, comparing with all, its vectors."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from genret.core import artifacts
from genret.core.collection import Collection, Query
from genret.models import flops_formula
from genret.models.compiled_flops import compiled_flops
from genret.models.dual_encoder import DualEncoder
from genret.models.flops import flops
from genret.retrieval import dual_spec
from genret.retrieval.dual import DualRetriever
from genret.retrieval.dual_spec import DualSpec
from genret.stages import trained_step
from genret.stages.trained import RESULT
from genret.stages.written_costs import FLOAT32, file_bytes, parameters
from genret.training import contrastive
from genret.training.contrastive import Contrast
from genret.training.fitting import LONG
from genret.training.optimizers import Optimizer
from genret.training.step import Program


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedStep:
  """A step of a dual encoder's training, its texts as long as they may be.

  Attributes:
    spec: Of the model.
    optimizer: Its settings.
    rows: Texts of a batch.
    negatives: Hard negatives of each.
  """

  spec: DualSpec
  optimizer: Optimizer
  rows: int
  negatives: int

  @classmethod
  def of(cls, folder: Path) -> "ComparedStep":
    """Reads the manifest of a model folder.

    Raises:
      ArtifactError: If the run is not finished.
    """
    found = artifacts.load(folder).arguments
    negatives = found["negatives"]
    return cls(
      spec=DualSpec.load(folder),
      optimizer=trained_step.optimizer_of(found["optimizer"]),
      rows=found["batch_size"],
      negatives=negatives["count"] if negatives else 0,
    )

  def counted(self) -> int:
    """Counts the products of the traced step."""
    return flops(*self._program())

  def compiled(self) -> float | None:
    """Counts what XLA makes of it; None where products stand in loops."""
    return compiled_flops(*self._program())

  def formula(self) -> int:
    """Returns the encoder's operations for each token, and no comparisons."""
    spec = self.spec
    read = spec.input_length + (1 + self.negatives) * spec.document_length
    passes = trained_step.encoder_passes(spec.model, cached_states=False)
    return passes * multiplied(spec) * self.rows * read

  def _program(self) -> tuple[Any, ...]:
    """Returns the step and the shapes of its arguments."""
    devices = np.asarray(jax.devices()[:1]).reshape(1, 1)
    program = Program(
      model=self.spec.module,
      num_symbols=0,
      optimizer=self.optimizer.build(LONG),
      loss=Contrast(temperature=self.spec.temperature),
      sums=contrastive.batch_sums,
      seed=0,
      mesh=Mesh(devices, ("data", "model")),
    )
    documents = (self.rows, 1 + self.negatives)
    shapes = {
      "inputs": (self.rows, self.spec.input_length),
      "documents": (*documents, self.spec.document_length),
      "numbers": documents,
      "known": (self.rows, 1),
    }
    batch = {name: _ids(*shape) for name, shape in shapes.items()}
    return program.step, program.abstract_state(), batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
  """The account of a model folder of `genret dual_encoder`.

  Attributes:
    folder: Of a finished model.
    collection: The model's own.
  """

  folder: Path
  collection: Collection

  @functools.cached_property
  def spec(self) -> DualSpec:
    """What its folder says of it."""
    return DualSpec.load(self.folder)

  @property
  def scheme(self) -> str:
    """How it compares."""
    return self.spec.scheme

  @functools.cached_property
  def step(self) -> ComparedStep:
    """A step of its training."""
    return ComparedStep.of(self.folder)

  def parameters(self) -> dict[str, int]:
    """Counts its parameters, as `written_costs.parameters` does."""
    found = parameters(_abstract(self.spec), self.spec.model.encoder)
    return {part: count for part, count in found.items() if count}

  def query(self, *, num_beams: int, compiled: bool) -> dict[str, Any]:
    """Counts the longest query, and comparing it with all documents.

    Where each token has a vector, documents are taken to be as long as they
    may be.

    Args:
      num_beams: Not used: nothing is written.
      compiled: Whether the encoder is compiled, to be counted as well.
    """
    del num_beams
    spec = self.spec
    encode = functools.partial(spec.module.apply, method=DualEncoder.vectors)
    program = (encode, {"params": _abstract(spec)}, _ids(1, spec.input_length))
    encoder, compared = flops(*program), self._compared()
    made = compiled_flops(*program) if compiled else None
    return {
      "input_length": spec.input_length,
      "by_part": {"encoder": encoder, "comparing": compared},
      "counted": encoder + compared,
      "compiled": None if made is None else made + compared,
      "formula": flops_formula.FORWARD * multiplied(spec) * spec.input_length
      + compared,
    }

  def search(
    self,
    *,
    k: int,
    num_beams: int | None,
    checkpoint: str | int,
    scoring: str | None,
  ) -> Callable[[Sequence[Query]], Any]:
    """Opens the model; returns what searches queries.

    Args:
      k: Documents a query.
      num_beams: Not used.
      checkpoint: `best`, `newest`, or a step.
      scoring: Not used.
    """
    del num_beams, scoring
    retriever = DualRetriever.load(
      self.folder, self.collection, checkpoint=checkpoint
    )
    return functools.partial(retriever.run, k=k)

  def sizes(self) -> dict[str, int]:
    """Returns bytes: of weights in float32, and of the best state's vectors.

    The index is 0 until somebody has searched.
    """
    result = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
    index = self.folder / dual_spec.INDEX / str(result["best_step"])
    return {
      "weights": FLOAT32 * self.parameters()["all"],
      "index": file_bytes(index),
    }

  def _compared(self) -> int:
    spec = self.spec
    pairs = 1
    if spec.scoring == "late":
      pairs = spec.input_length * spec.document_length
    width = spec.dim or spec.model.emb_dim
    return 2 * pairs * self.collection.num_documents * width


def multiplied(spec: DualSpec) -> int:
  """Counts the encoder's parameters that a token passes through."""
  encoder = flops_formula.without_tables(_abstract(spec))
  return encoder["encoder"] + encoder.get("projection", 0)


@functools.cache
def _abstract(spec: DualSpec) -> Any:
  """Returns the parameters as shapes; nothing is allocated."""
  tokens = _ids(1, 8)
  made = jax.eval_shape(spec.module.init, jax.random.key(0), tokens, tokens)
  return made["params"]


def _ids(*shape: int) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, jnp.int32)
