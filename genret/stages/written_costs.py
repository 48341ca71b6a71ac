"""What a model that writes docids costs: its parts, its search, its files."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

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
from genret.stages.account import Account, Search, file_bytes
from genret.stages.trained_step import TrainedStep


class Written(Account):
  """The account of a model folder of `genret train`."""

  @classmethod
  def of(cls, folder: Path, collection: Collection) -> Self:
    """Reads what the folder says of the model.

    Raises:
      ArtifactError: If it is no finished model folder.
    """
    return cls(
      folder=folder,
      collection=collection,
      spec=ModelSpec.load(folder),
      step=TrainedStep.of(folder),
    )

  def parameters(self) -> dict[str, int]:
    """Counts its parameters, as the function does."""
    tree = shapes.abstract(self.spec.model)["params"]
    return parameters(tree, self.spec.model.encoder)

  def query(self, search: Search, *, compiled: bool) -> dict[str, Any]:
    """Counts the encoder, and each symbol for all beams: `query_flops`."""
    model, length = self.spec.model, self.spec.input_length
    shape = {"input_length": length, "num_beams": search.beams}
    parts = query_flops(model, **shape)
    made = math.nan
    if compiled:
      made = sum(query_flops(model, **shape, count=_compiled).values())
    return {
      "input_length": length,
      "by_part": parts,
      "counted": sum(parts.values()),
      "compiled": None if math.isnan(made) else made,
      "formula": flops_formula.query(
        flops_formula.multiplied(model),
        **shape,
        docid_length=model.docid_length,
      ),
    }

  def opened(self, search: Search) -> Callable[[Sequence[Query]], Any]:
    """Loads the model; returns what searches queries."""
    retriever = Retriever.load(
      self.folder, checkpoint=search.checkpoint, scoring=search.scoring
    )
    retrieve.check_documents(retriever.table, self.folder, self.collection)
    return functools.partial(
      retriever.run, k=search.k, num_beams=search.num_beams
    )

  def index_bytes(self) -> dict[str, int]:
    """Returns the bytes of the trie, of the docids, and of both."""
    trie = file_bytes(self.folder / model_folder.TRIE)
    docids = file_bytes(self.folder / model_folder.DOCIDS)
    return {"trie": trie, "docids": docids, "index": trie + docids}


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


def _compiled(*program: Any) -> float:
  found = compiled_flops(*program)
  return math.nan if found is None else found
