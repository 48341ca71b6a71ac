"""What a manifest may say, and how an artifact came to be."""

import dataclasses
import functools
import platform
import socket
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import genret
from genret.core.errors import ConfigError

_PACKAGES = (
  "bm25s",
  "flax",
  "ir_datasets",
  "jax",
  "jaxlib",
  "numpy",
  "optax",
  "orbax.checkpoint",
  "sentencepiece",
  "seqio",
  "tensorflow",
)


def canonical(value: Any, name: str = "arguments") -> Any:
  """Turns a setting into plain JSON values, the same on every machine.

  >>> canonical({"layers": (2, 3), "scheme": canonical})
  {'layers': [2, 3], 'scheme': 'genret.core.provenance.canonical'}

  Args:
    value: numbers, strings, None, and lists, mappings, dataclasses and
      partial calls of them; functions and classes stand by their names.
    name: what to call the value in a message.

  Returns:
    The value in dicts, lists, strings, numbers and None.

  Raises:
    ConfigError: a path, or a type that has no canonical form.
  """
  if value is None or isinstance(value, bool | int | float | str):
    return value
  if isinstance(value, Mapping):
    return {str(k): canonical(v, f"{name}.{k}") for k, v in value.items()}
  if isinstance(value, list | tuple):
    return [canonical(v, f"{name}[{i}]") for i, v in enumerate(value)]
  if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
    return value.item()
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    said = (f for f in dataclasses.fields(value) if _counts(value, f))
    return canonical({f.name: getattr(value, f.name) for f in said}, name)
  if isinstance(value, functools.partial):
    bound = {str(i): v for i, v in enumerate(value.args)} | value.keywords
    return {canonical(value.func, name): canonical(bound, name)}
  if callable(value) and hasattr(value, "__qualname__"):
    return f"{value.__module__}.{value.__qualname__}"
  advice = "It would tie the artifact to one machine: give its identity."
  raise ConfigError(
    f"{name} is {value!r}, which cannot stand in a manifest. "
    + (advice if isinstance(value, Path) else "Give plain values.")
  )


def _counts(value: Any, field: dataclasses.Field) -> bool:
  """Says whether a field is told, or was added later and is not used.

  So artifacts from before there was such a field keep their identities.
  """
  optional = field.metadata.get("unless_set", False)
  return not optional or getattr(value, field.name) != field.default


def provenance(*, started: float, gin_text: str) -> dict[str, Any]:
  """Describes the running process.

  Args:
    started: when the work began, seconds since the epoch.
    gin_text: the configuration it ran with.

  Returns:
    Times (UTC), host, versions of what is loaded, the command, the gin text.
  """
  now = time.time()
  return {
    "started": _utc(started),
    "finished": _utc(now),
    "seconds": round(now - started, 3),
    "host": socket.gethostname(),
    "platform": platform.platform(),
    "command": list(sys.argv),
    "versions": _versions(),
    "gin": gin_text,
  }


def _utc(seconds: float) -> str:
  return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _versions() -> dict[str, str]:
  """Returns the versions of the packages that this process has loaded."""
  found = {"genret": genret.__version__, "python": platform.python_version()}
  for name in _PACKAGES:
    if name in sys.modules:
      try:
        found[name] = metadata.version(name.replace(".", "-"))
      except metadata.PackageNotFoundError:
        continue
  return found
