"""The costs stage: a finished model folder in, what it takes out.

Parameters, operations of a training step and of a query, latency, bytes, and
what training took. Operations are given three ways: `counted`, the products of
the traced program; `compiled`, what XLA made of it; and `formula`, 2 or 6 a
parameter and token.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from genret.core import artifacts, machine
from genret.core.collection import Collection, Query
from genret.core.errors import UserError
from genret.retrieval import dual_spec
from genret.stages import latency
from genret.stages.account import Account, Search
from genret.stages.compared_costs import Compared
from genret.stages.costs_report import Costs
from genret.stages.latency import Timing
from genret.stages.trained import RESULT
from genret.stages.written_costs import Written
from genret.training.checkpoints import CPU_SECONDS

FORMAT_VERSION = 1
FILE = "costs.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostsConfig:
  """What is counted and timed.

  Attributes:
    split: Whose queries are searched.
    search: How they are searched.
    timing: Which queries are timed, and how often; None times none.
    compiled: Whether programs are compiled to be counted as well.
    devices: That the model was trained on; None for those of this machine.
  """

  split: str = "test"
  search: Search = Search()
  timing: Timing | None = Timing()
  compiled: bool = True
  devices: int | None = None


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
  account = _account(model_dir, collection)
  queries = _timed(config, collection)
  scheme, identity = account.scheme, artifacts.identity(model_dir)
  training = of_training(model_dir, config.devices)
  stages = {
    "parameters": account.parameters,
    "training step": lambda: _step(account, config.compiled),
    "query": lambda: account.query(config.search, compiled=config.compiled),
    "latency": lambda: _latency(config, account, queries),
    "bytes": account.sizes,  # of an index that the searches may have made
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
      "scheme": scheme,
      "parameters": done["parameters"],
      "flops": flops,
      "operations": operations,
      "search": {"k": config.search.k, "num_beams": config.search.beams},
      "latency": done["latency"],
      "bytes": done["bytes"],
      "training": training,
      "machine": machine.describe(_devices()),
    }
  )
  artifacts.write_json(out or Path(model_dir) / FILE, found.figures)
  return found


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


def _account(model_dir: Path, collection: Collection) -> Account:
  kind = Compared if dual_spec.is_dual(model_dir) else Written
  return kind.of(Path(model_dir), collection)


def _step(account: Account, compiled: bool) -> dict[str, Any]:
  step = account.step
  return {
    "rows": step.rows,
    "counted": step.counted(),
    "compiled": step.compiled() if compiled else None,
    "formula": step.formula(),
  }


def _timed(config: CostsConfig, collection: Collection) -> list[Query]:
  """Returns the queries of the split, if any are to be timed."""
  if config.timing is None:
    return []
  queries = list(collection.queries(config.split))
  if not queries:
    raise UserError(
      f"{collection.name} has no query in {config.split!r} to be timed."
    )
  return queries


def _latency(
  config: CostsConfig, account: Account, queries: Sequence[Query]
) -> dict[str, Any] | None:
  if config.timing is None:
    return None
  search = account.opened(config.search)
  return dataclasses.asdict(latency.measure(search, queries, config.timing))


def _devices() -> str:
  found = jax.devices()
  return f"{len(found)} x {found[0].device_kind}"


def _json(path: Path) -> Mapping[str, Any]:
  if not path.exists():
    return {}
  return artifacts.read_json(path)
