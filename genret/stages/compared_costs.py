"""What a dual encoder costs: its encoder, comparing with all, its vectors."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

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
from genret.stages.account import Account, CountedStep, Search, file_bytes
from genret.stages.dual_config import TrainConfig
from genret.stages.trained import RESULT
from genret.stages.written_costs import parameters
from genret.training import contrastive
from genret.training.contrastive import Contrast
from genret.training.fitting import LONG
from genret.training.optimizers import Optimizer
from genret.training.step import Program


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedStep(CountedStep):
  """A step of a dual encoder's training, its texts as long as they may be.

  Attributes:
    spec: Of the model.
    optimizer: Its settings.
    texts: Of a batch.
    negatives: Hard negatives of each.
    cached_states: Whether states of a frozen encoder were read from disk.
  """

  spec: DualSpec
  optimizer: Optimizer
  texts: int
  negatives: int
  cached_states: bool = False

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
      texts=found["batch_size"],
      negatives=negatives["count"] if negatives else 0,
      cached_states=found.get("cache_states", False),
    )

  @classmethod
  def planned(cls, config: TrainConfig) -> "ComparedStep":
    """Returns the step of a run that has not begun."""
    return cls(
      spec=config.spec(docnos=""),
      optimizer=config.optimizer,
      texts=config.batch_size,
      negatives=config.negatives.count if config.negatives else 0,
      cached_states=config.cache_states,
    )

  def parameters(self) -> dict[str, int]:
    """Counts the model's parameters, as `written_costs.parameters` does."""
    found = parameters(_abstract(self.spec), self.spec.model.encoder)
    return {part: count for part, count in found.items() if count}

  @property
  def rows(self) -> int:
    """Texts of a batch."""
    return self.texts

  def formula(self) -> int:
    """Returns the encoder's operations for each token, and no comparisons.

    Of a frozen encoder are left those forward, or none where its states were
    cached. A projection is always trained.
    """
    spec, documents = self.spec, 1 + self.negatives
    found = multiplied(
      spec,
      tokens=spec.input_length + documents * spec.document_length,
      texts=1 + documents,
    )
    passes = trained_step.encoder_passes(spec.model, self.cached_states)
    trained = flops_formula.TRAINING * found["projection"]
    return self.texts * (passes * found["encoder"] + trained)

  def program(self) -> tuple[Any, ...]:
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
    documents = (self.texts, 1 + self.negatives)
    shapes = {
      "inputs": (self.texts, self.spec.input_length),
      "documents": (*documents, self.spec.document_length),
      "numbers": documents,
      "known": (self.texts, 1),
    }
    batch = {name: _ids(*shape) for name, shape in shapes.items()}
    if self.cached_states:
      width = self.spec.model.encoder.bert.emb_dim
      for name in ("inputs", "documents"):
        shape = (*shapes[name], width)
        batch[f"{name}_states"] = jax.ShapeDtypeStruct(shape, jnp.float16)
    return program.step, program.abstract_state(), batch


class Compared(Account):
  """The account of a model folder of `genret dual_encoder`."""

  @classmethod
  def of(cls, folder: Path, collection: Collection) -> Self:
    """Reads what the folder says of the model.

    Raises:
      ArtifactError: If it is no finished model folder.
    """
    step = ComparedStep.of(folder)
    return cls(folder=folder, collection=collection, spec=step.spec, step=step)

  def parameters(self) -> dict[str, int]:
    """Counts its parameters, as its step does."""
    return self.step.parameters()

  def query(self, search: Search, *, compiled: bool) -> dict[str, Any]:
    """Counts the encoder, and comparing with all documents.

    Where each token has a vector, documents are taken to be as long as they
    may be.
    """
    del search  # nothing is written
    spec = self.spec
    encode = functools.partial(spec.module.apply, method=DualEncoder.vectors)
    program = (encode, {"params": _abstract(spec)}, _ids(1, spec.input_length))
    encoder, compared = flops(*program), self._compared()
    made = compiled_flops(*program) if compiled else None
    parts = multiplied(spec, tokens=spec.input_length, texts=1)
    by_formula = flops_formula.FORWARD * sum(parts.values())
    return {
      "input_length": spec.input_length,
      "by_part": {"encoder": encoder, "comparing": compared},
      "counted": encoder + compared,
      "compiled": None if made is None else made + compared,
      "formula": by_formula + compared,
    }

  def opened(self, search: Search) -> Callable[[Sequence[Query]], Any]:
    """Loads the model; returns what searches queries."""
    retriever = DualRetriever.load(
      self.folder, self.collection, checkpoint=search.checkpoint
    )
    return functools.partial(retriever.run, k=search.k)

  def index_bytes(self) -> dict[str, int]:
    """Returns the bytes of the best state's vectors: 0 before any search."""
    result = artifacts.read_json(self.folder / RESULT)
    index = self.folder / dual_spec.INDEX / str(result["best_step"])
    return {"index": file_bytes(index)}

  def _compared(self) -> int:
    spec = self.spec
    pairs = 1
    if spec.scoring == "late":
      pairs = spec.input_length * spec.document_length
    width = spec.dim or spec.model.emb_dim
    return 2 * pairs * self.collection.num_documents * width


def multiplied(spec: DualSpec, *, tokens: int, texts: int) -> dict[str, int]:
  """Counts the parameters of each part that texts pass through, each time.

  The projection is of tokens where each keeps a vector, and else of texts.
  """
  found = flops_formula.without_tables(_abstract(spec))
  vectors = tokens if spec.scoring == "late" else texts
  return {
    "encoder": found["encoder"] * tokens,
    "projection": found.get("projection", 0) * vectors,
  }


@functools.cache
def _abstract(spec: DualSpec) -> Any:
  """Returns the parameters as shapes; nothing is allocated."""
  tokens = _ids(1, 8)
  made = jax.eval_shape(spec.module.init, jax.random.key(0), tokens, tokens)
  return made["params"]


def _ids(*shape: int) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, jnp.int32)
