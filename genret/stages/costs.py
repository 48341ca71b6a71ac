"""The costs stage: a finished model folder in, what it takes out.

Parameters, operations of a training step and of a query, latency, bytes, and
what training took. Operations are given three ways: `counted`, the products of
the traced program; `compiled`, what XLA made of it; and `formula`, 2 or 6 a
parameter and token.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
from tqdm import tqdm

from genret.core import artifacts, machine
from genret.core.collection import Collection
from genret.core.errors import UserError
from genret.models import flops_formula, shapes
from genret.models.compiled_flops import compiled_flops
from genret.models.query_flops import query_flops
from genret.models.sizes import T5Config
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.stages import latency, retrieve
from genret.stages.costs_report import Costs
from genret.stages.latency import Timing
from genret.stages.trained import RESULT
from genret.stages.trained_step import TrainedStep
from genret.training.checkpoints import CPU_SECONDS

FORMAT_VERSION = 1
FILE = "costs.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostsConfig:
  """What is counted and timed.

  Attributes:
    split: Whose queries are searched.
    k: Documents a query.
    num_beams: Docids kept a step; None for `k`.
    checkpoint: `best`, `newest`, or a step.
    scoring: `raw` or `renormalised`; None for the model's own way.
    timing: Which queries are timed, and how often; None times none.
    compiled: Whether programs are compiled to be counted as well.
    devices: That the model was trained on; None for those of this machine.
  """

  split: str = "test"
  k: int = 10
  num_beams: int | None = None
  checkpoint: str | int = "best"
  scoring: Literal["raw", "renormalised"] | None = None
  timing: Timing | None = Timing()
  compiled: bool = True
  devices: int | None = None

  @property
  def beams(self) -> int:
    """Docids kept a step."""
    return self.num_beams or self.k


def run(
  config: CostsConfig,
  model_dir: Path,
  collection: Collection,
  *,
  out: Path | None = None,
) -> Costs:
  """Counts and times a model.

  Args:
    config: The settings.
    model_dir: A finished model folder.
    collection: Whose queries are timed; the model's own.
    out: A JSON file; None for `costs.json` in the model folder.

  Returns:
    What was found; `table()` is for people.

  Raises:
    ArtifactError: If the folder is no finished model folder.
    UserError: If the documents are not the model's, or there is no query.
  """
  spec = ModelSpec.load(model_dir)
  identity = artifacts.identity(model_dir)
  step = TrainedStep.of(model_dir)
  training = of_training(model_dir, config.devices)
  stages = {
    "parameters": lambda: parameters(spec.model),
    "training step": lambda: _step(step, config.compiled),
    "query": lambda: _query(spec, config),
    "latency": lambda: _latency(config, model_dir, collection),
    "bytes": lambda: sizes(model_dir, spec.model),
  }
  done = {}
  with tqdm(total=len(stages), desc="costs", delay=2) as bar:
    for name, work in stages.items():
      bar.set_postfix_str(name)
      done[name] = work()
      bar.update()
  operations = {"step": done["training step"], "query": done["query"]}
  flops = {name: found["counted"] for name, found in operations.items()}
  flops["training"] = flops["step"] * training["steps"]
  found = Costs(
    {
      "format": FORMAT_VERSION,
      "model": identity,
      "scheme": spec.scheme,
      "parameters": done["parameters"],
      "flops": flops,
      "operations": operations,
      "search": {"k": config.k, "num_beams": config.beams},
      "latency": done["latency"],
      "bytes": done["bytes"],
      "training": training,
      "machine": machine.describe(_devices()),
    }
  )
  artifacts.write_json(out or Path(model_dir) / FILE, found.figures)
  return found


def parameters(config: T5Config) -> dict[str, int]:
  """Counts parameters by part, all of them, and those that are trained."""
  tree = shapes.abstract(config)["params"]
  counts = shapes.count_by_part(tree)
  frozen = 0
  if config.encoder is not None:
    frozen = sum(
      leaf.size
      for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
      if config.encoder.freezes(
        jax.tree_util.keystr(path, simple=True, separator="/")
      )
    )
  total = sum(counts.values())
  return {**counts, "all": total, "trained": total - frozen}


def sizes(folder: Path, config: T5Config) -> dict[str, int]:
  """Returns bytes: of weights in float32, of the trie, of docids, of both.

  The index is what a search reads besides the weights.
  """
  count = parameters(config)["all"]
  trie = _bytes(Path(folder) / model_folder.TRIE)
  docids = _bytes(Path(folder) / model_folder.DOCIDS)
  return {
    "weights": 4 * count,
    "trie": trie,
    "docids": docids,
    "index": trie + docids,
  }


def of_training(folder: Path, devices: int | None) -> dict[str, Any]:
  """Returns what training took, as the folder has noted it.

  Args:
    folder: Of a finished model.
    devices: That it ran on; None for those of this machine.
  """
  folder, devices = Path(folder), devices or jax.device_count()
  wall = _json(folder / artifacts.PROVENANCE).get("seconds")
  cpu = _json(folder / CPU_SECONDS)
  return {
    "steps": _json(folder / RESULT)["newest_step"],
    "wall_seconds": wall,
    "loop_cpu_seconds": max(cpu.values()) if cpu else None,
    "devices": devices,
    "device_hours": None if wall is None else wall * devices / 3600,
  }


def _step(step: TrainedStep, compiled: bool) -> dict[str, Any]:
  return {
    "rows": step.step.batch_size,
    "counted": step.counted(),
    "compiled": step.compiled() if compiled else None,
    "formula": step.formula(),
  }


def _query(spec: ModelSpec, config: CostsConfig) -> dict[str, Any]:
  """Counts the search of the longest query; shorter ones take less."""
  shape = {"input_length": spec.input_length, "num_beams": config.beams}
  parts = query_flops(spec.model, **shape)
  compiled = None
  if config.compiled:
    compiled = sum(query_flops(spec.model, **shape, count=_compiled).values())
  return {
    "input_length": spec.input_length,
    "by_part": parts,
    "counted": sum(parts.values()),
    "compiled": None if compiled is None or math.isnan(compiled) else compiled,
    "formula": flops_formula.query(
      flops_formula.multiplied(spec.model),
      **shape,
      docid_length=spec.model.docid_length,
    ),
  }


def _compiled(*program: Any) -> float:
  found = compiled_flops(*program)
  return math.nan if found is None else found


def _latency(
  config: CostsConfig, model_dir: Path, collection: Collection
) -> dict[str, Any] | None:
  if config.timing is None:
    return None
  queries = list(collection.queries(config.split))
  if not queries:
    raise UserError(
      f"{collection.name} has no query in {config.split!r} to be timed."
    )
  retriever = Retriever.load(
    model_dir, checkpoint=config.checkpoint, scoring=config.scoring
  )
  retrieve.check_documents(retriever.table, model_dir, collection)
  found = latency.measure(
    lambda some: retriever.run(some, k=config.k, num_beams=config.num_beams),
    queries,
    config.timing,
  )
  return dataclasses.asdict(found)


def _devices() -> str:
  found = jax.devices()
  return f"{len(found)} x {found[0].device_kind}"


def _bytes(folder: Path) -> int:
  files = (path for path in folder.rglob("*") if path.is_file())
  return sum(path.stat().st_size for path in files)


def _json(path: Path) -> Mapping[str, Any]:
  if not path.exists():
    return {}
  return json.loads(path.read_text(encoding="utf-8"))
