"""Several processes that train one model: how they meet, talk and part.

`join` reads from the environment whether this process is one of several, and
meets the others through `jax.distributed`. What they then say to each other
besides arrays (that a folder is ready, where an input stands) goes through
the key-value store of JAX's coordination service, which knows no devices.
Alone, a process waits for nobody and each function is what it would be.
"""

import contextlib
import dataclasses
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from jax._src import distributed

from genret.core.errors import ConfigError, UserError

HEARTBEAT_SECONDS = 25
"""A process silent for so long is dead, and the others end; JAX waits 100."""

_COORDINATOR = "GENRET_COORDINATOR"
_NUM_PROCESSES = "GENRET_NUM_PROCESSES"
_PROCESS_ID = "GENRET_PROCESS_ID"
_EXPLICIT = (_COORDINATOR, _NUM_PROCESSES, _PROCESS_ID)
_SLURM = (
  "SLURM_JOB_ID",
  "SLURM_STEP_NODELIST",
  "SLURM_NTASKS",
  "SLURM_PROCID",
  "SLURM_LOCALID",
)
_PATIENCE_MS = 7 * 24 * 3_600_000  # The heartbeat ends vain waiting.
_GRACE_SECONDS = 1  # for the others to leave before their service does
_numbers = itertools.count()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Membership:
  """How `jax.distributed.initialize` is to be called.

  What is None it finds out for itself.

  Attributes:
    coordinator_address: host:port of process 0.
    num_processes: how many there are.
    process_id: which this is.
    cluster_detection_method: where JAX looks for the above.
    local_device_ids: devices of this process; () for all of its host. JAX
      reads JAX_LOCAL_DEVICE_IDS only where this is None.
  """

  coordinator_address: str | None = None
  num_processes: int | None = None
  process_id: int | None = None
  cluster_detection_method: str | None = None
  local_device_ids: Sequence[int] | None = None


def membership(environment: Mapping[str, str]) -> Membership | None:
  """Reads from environment variables whether there are other processes.

  >>> membership({})
  >>> membership({
  ...   "GENRET_COORDINATOR": "10.0.0.1:1234",
  ...   "GENRET_NUM_PROCESSES": "2",
  ...   "GENRET_PROCESS_ID": "1",
  ... }).process_id
  1

  Args:
    environment: `os.environ`. GENRET_COORDINATOR, GENRET_NUM_PROCESSES and
      GENRET_PROCESS_ID are looked for first, then those of `srun`, then those
      of a TPU pod. GENRET_NUM_PROCESSES=1 stays alone whatever the others say.

  Returns:
    None where this process is alone.

  Raises:
    ConfigError: Some variables are there and others are missing or no numbers.
  """
  if any(name in environment for name in _EXPLICIT):
    return _explicit(environment)
  if all(name in environment for name in _SLURM):
    return _slurm(environment)
  hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get(
    "TPU_WORKER_HOSTNAMES", ""
  )
  if "," in hosts or "MEGASCALE_COORDINATOR_ADDRESS" in environment:
    return Membership()
  return None


def _explicit(environment: Mapping[str, str]) -> Membership | None:
  count = _number(environment, _NUM_PROCESSES)
  if count < 1:
    raise ConfigError(
      f"{_NUM_PROCESSES} is {count}; expected 1, which stays alone, or more."
    )
  if count == 1:
    return None
  address = environment.get(_COORDINATOR) or environment.get(
    "JAX_COORDINATOR_ADDRESS", ""
  )
  host, _, port = address.rpartition(":")
  if not (host and port.isdecimal()):
    raise ConfigError(
      f"{_COORDINATOR} is {address!r}; expected host:port of process 0, the"
      " same for all processes."
    )
  process = _number(environment, _PROCESS_ID)
  if not 0 <= process < count:
    raise ConfigError(
      f"{_PROCESS_ID} is {process}; of {count} processes, the last is"
      f" {count - 1}."
    )
  # Inside a Slurm step JAX would else give each process one device.
  return Membership(
    coordinator_address=address,
    num_processes=count,
    process_id=process,
    cluster_detection_method="deactivate",
  )


def _number(environment: Mapping[str, str], name: str) -> int:
  value = environment.get(name, "")
  if not value.isdecimal():
    raise ConfigError(
      f"{name} is {value!r}; expected a whole number. To join processes, set"
      f" {_COORDINATOR} (host:port of process 0), {_NUM_PROCESSES} and"
      f" {_PROCESS_ID} for each."
    )
  return int(value)


def _slurm(environment: Mapping[str, str]) -> Membership | None:
  """Leaves the addresses to JAX, which gives each task of a node one device."""
  if int(environment["SLURM_NTASKS"]) == 1:
    return None
  a_node = environment.get("SLURM_STEP_TASKS_PER_NODE", "")
  alone = all(part.partition("(")[0] == "1" for part in a_node.split(","))
  alone = alone and not environment.get("JAX_LOCAL_DEVICE_IDS")
  return Membership(
    cluster_detection_method="slurm", local_device_ids=() if alone else None
  )


def join(environment: Mapping[str, str] = os.environ) -> None:
  """Joins the other processes, if there are any; before any use of a device.

  Raises:
    ConfigError: The variables that name them make no sense.
  """
  if jax.distributed.is_initialized():
    return
  found = membership(environment)
  on_tpu = found is None and _NUM_PROCESSES not in environment and _tpu_vm()
  if found is None and not on_tpu:
    return
  # Its service takes SIGTERM for news of a pre-emption and goes on.
  jax.config.update("jax_enable_preemption_service", False)
  try:
    jax.distributed.initialize(
      **dataclasses.asdict(found or Membership()),
      heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
    )
  except ValueError:
    if not on_tpu:
      raise  # A lone TPU host has no pod to find.


def _tpu_vm() -> bool:
  """Whether this may be a host of a TPU pod, which only its metadata says."""
  platforms = os.environ.get("JAX_PLATFORMS", "")
  return platforms in ("", "tpu") and bool(importlib.util.find_spec("libtpu"))


def is_first() -> bool:
  """Whether this process writes what is written once."""
  return jax.process_index() == 0


def once(function: Callable[[], Any]) -> Any:
  """Calls a function in process 0; every process returns what it returned.

  All processes must come here in the same order.

  Args:
    function: Returns something that is JSON.

  Raises:
    UserError: In every process, if the function raised one; once all have
      heard of it, since the service they hear it from ends with process 0.
  """
  if jax.process_count() == 1:
    return function()
  key = f"genret/once/{next(_numbers)}"
  client = distributed.global_state.client
  if not is_first():
    said = json.loads(client.blocking_key_value_get(key, _PATIENCE_MS))
    if "error" in said:
      meet()
      raise UserError(said["error"])
    return said["value"]
  try:
    value = function()
  except UserError as error:
    client.key_value_set(key, json.dumps({"error": str(error)}))
    meet()
    time.sleep(_GRACE_SECONDS)
    raise
  client.key_value_set(key, json.dumps({"value": value}))
  return value


def gather(value: Any) -> list[Any]:
  """Brings a value of each process to process 0.

  Args:
    value: What this process has, as JSON.

  Returns:
    In process 0 the values by process; elsewhere nothing.
  """
  if jax.process_count() == 1:
    return [value]
  key = f"genret/gather/{next(_numbers)}"
  client = distributed.global_state.client
  if not is_first():
    client.key_value_set(f"{key}/{jax.process_index()}", json.dumps(value))
    return []
  values = [value]
  for process in range(1, jax.process_count()):
    theirs = f"{key}/{process}"
    values.append(
      json.loads(client.blocking_key_value_get(theirs, _PATIENCE_MS))
    )
    client.key_value_delete(theirs)
  return values


def meet() -> None:
  """Returns when all processes are here."""
  if jax.process_count() > 1:
    name = f"genret/meet/{next(_numbers)}"
    distributed.global_state.client.wait_at_barrier(name, _PATIENCE_MS)


@contextlib.contextmanager
def together(folder: str | os.PathLike[str]) -> Iterator[None]:
  """Makes the processes of a run end together, and say why.

  An error in one leaves the others waiting for it; so it ends its process at
  once, and JAX's coordination service has theirs ended within
  `HEARTBEAT_SECONDS`. That service aborts from C++, so the last line is left
  to a shell that waits for the end of this process.

  Args:
    folder: Where the run goes on from when it is started again.
  """
  if jax.process_count() == 1:
    yield
    return
  who = f"process {jax.process_index()} of {jax.process_count()}"
  again = (
    f"Start all processes again: they go on from the newest checkpoint in"
    f" {folder}."
  )
  watcher = subprocess.Popen(
    ["/bin/sh", "-c", 'read -r line || printf "%s\\n" "$0" >&2',
     f"error: {who} ended early: it, or another one of the run, was killed or"
     f" crashed; the lines above say more. {again}"],
    stdin=subprocess.PIPE,
  )  # fmt: skip
  try:
    yield
    meet()
    watcher.communicate(b"well\n")
  except BaseException as error:
    sys.stdout.flush()
    if not isinstance(error, UserError):
      traceback.print_exc()
    line = (
      str(error)
      if isinstance(error, UserError)
      else (
        f"{who} failed ({type(error).__name__}, above). Where that speaks of a"
        f" lost connection, another process ended first. {again}"
      )
    )
    watcher.communicate(b"told\n")
    print(f"error: {line}", file=sys.stderr, flush=True)
    # Leaving in order would wait for the others, who wait for this one.
    os._exit(2 if isinstance(error, UserError) else 1)
