"""The folder of a dual encoder, and what must be known to search with it.

dual_encoder.json   the encoder's shape, lengths, scoring (DualSpec)
checkpoints/        one folder a step
index/<step>/       the documents' vectors, made by the first search, in a
                    folder named by the parameters and what they have read
runs/               TREC run files
"""

import dataclasses
from pathlib import Path

from genret.core.collection import Collection
from genret.core.errors import UserError
from genret.models.dual_encoder import DualEncoder, Scoring
from genret.models.t5 import T5Config
from genret.retrieval import model_folder

SPEC = "dual_encoder.json"
INDEX = "index"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DualSpec:
  """What must be known of a dual encoder to search with it.

  Attributes:
    model: The T5 whose encoder it is.
    scoring: `mean` or `late`; see `models.dual_encoder`.
    dim: Numbers of a vector; None for the encoder's width.
    temperature: By which scores were divided in training.
    input_length: Longest query in tokens, markers included.
    document_length: Longest document in tokens, markers included.
    docnos: Checksum of the documents' names.
    dev_measure: The measure that chose the best checkpoint, if one did.
    tie_seed: Orders documents of equal score.
  """

  model: T5Config
  scoring: Scoring
  dim: int | None
  temperature: float
  input_length: int
  document_length: int
  docnos: str
  dev_measure: str | None = "RR@10"
  tie_seed: int = 0

  @property
  def scheme(self) -> str:
    """What runs are named by."""
    return {"mean": "dual-encoder", "late": "late-interaction"}[self.scoring]

  @property
  def module(self) -> DualEncoder:
    """The encoder."""
    return DualEncoder(self.model, scoring=self.scoring, dim=self.dim)

  def save(self, folder: Path) -> None:
    """Writes SPEC into a model folder."""
    model_folder.write_spec(Path(folder) / SPEC, self)

  @classmethod
  def load(cls, folder: Path) -> "DualSpec":
    """Reads SPEC.

    Raises:
      ArtifactError: If there is none, or it is damaged or of another format.
    """
    return model_folder.read_spec(
      Path(folder) / SPEC,
      lambda fields: cls(
        model=T5Config.from_json(fields.pop("model")), **fields
      ),
      command="genret dual_encoder",
    )

  def check_documents(self, folder: Path, collection: Collection) -> None:
    """Raises a UserError unless the model was trained on these documents."""
    if collection.docnos.checksum != self.docnos:
      raise UserError(
        f"The model in {folder} was trained on other documents than those of"
        f" {collection.name} in {collection.root}."
      )


def is_dual(folder: Path) -> bool:
  """Says whether a folder is of a dual encoder."""
  return (Path(folder) / SPEC).is_file()
