"""What a model that writes docids costs: its parts, its search, its files."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from genret.core.collection import Collection, Query
from genret.models import flops_formula, shapes
from genret.models.compiled_flops import compiled_flops
from genret.models.encoder_config import EncoderConfig
from genret.models.query_flops import query_flops
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.stages import retrieve
from genret.stages.trained_step import TrainedStep

FLOAT32 = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
  """The account of a model folder of `genret train`.

  Attributes:
    folder: Of a finished model.
    collection: The model's own.
  """

  folder: Path
  collection: Collection

  @functools.cached_property
  def spec(self) -> ModelSpec:
    """Its `model.json`."""
    return ModelSpec.load(self.folder)

  @property
  def scheme(self) -> str:
    """Of its docids."""
    return self.spec.scheme

  @functools.cached_property
  def step(self) -> TrainedStep:
    """A step of its training."""
    return TrainedStep.of(self.folder)

  def parameters(self) -> dict[str, int]:
    """Counts its parameters, as the function does."""
    tree = shapes.abstract(self.spec.model)["params"]
    return parameters(tree, self.spec.model.encoder)

  def query(self, *, num_beams: int, compiled: bool) -> dict[str, Any]:
    """Counts the search of the longest query; shorter ones take less.

    Args:
      num_beams: Docids kept a step.
      compiled: Whether its parts are compiled, to be counted as well.
    """
    model = self.spec.model
    shape = {"input_length": self.spec.input_length, "num_beams": num_beams}
    parts = query_flops(model, **shape)
    made = None
    if compiled:
      made = sum(query_flops(model, **shape, count=_compiled).values())
    return {
      "input_length": self.spec.input_length,
      "by_part": parts,
      "counted": sum(parts.values()),
      "compiled": None if made is None or math.isnan(made) else made,
      "formula": flops_formula.query(
        flops_formula.multiplied(model),
        **shape,
        docid_length=model.docid_length,
      ),
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
      num_beams: Docids kept a step; None for `k`.
      checkpoint: `best`, `newest`, or a step.
      scoring: None for the model's own way.

    Raises:
      UserError: If the documents are not the model's.
    """
    retriever = Retriever.load(
      self.folder, checkpoint=checkpoint, scoring=scoring
    )
    retrieve.check_documents(retriever.table, self.folder, self.collection)
    return functools.partial(retriever.run, k=k, num_beams=num_beams)

  def sizes(self) -> dict[str, int]:
    """Returns bytes: of weights in float32, of the trie and the docids.

    The index is what a search reads besides the weights: both of these.
    """
    trie = file_bytes(self.folder / model_folder.TRIE)
    docids = file_bytes(self.folder / model_folder.DOCIDS)
    return {
      "weights": FLOAT32 * self.parameters()["all"],
      "trie": trie,
      "docids": docids,
      "index": trie + docids,
    }


def parameters(
  tree: Mapping[str, Any], encoder: EncoderConfig | None
) -> dict[str, int]:
  """Counts parameters by part, all of them, and those that are trained.

  Args:
    tree: Of parameters, abstract or not.
    encoder: In the place of T5's own, if there is one.
  """
  counts: dict[str, int] = dict.fromkeys(shapes.PARTS, 0)
  frozen = 0
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    part = shapes.part_of(name)
    counts[part] = counts.get(part, 0) + leaf.size
    if encoder is not None and encoder.freezes(name):
      frozen += leaf.size
  total = sum(counts.values())
  return {**counts, "all": total, "trained": total - frozen}


def file_bytes(folder: Path) -> int:
  """Returns the bytes of all files below a folder."""
  files = (path for path in folder.rglob("*") if path.is_file())
  return sum(path.stat().st_size for path in files)


def _compiled(*program: Any) -> float:
  found = compiled_flops(*program)
  return math.nan if found is None else found
