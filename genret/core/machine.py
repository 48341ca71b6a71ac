"""What a figure that took time was measured on."""

import platform
from pathlib import Path

from genret.core import cores

_CPUINFO = Path("/proc/cpuinfo")


def describe(device: str | None = None) -> dict[str, str | int | None]:
  """Returns the processor, the cores left to this process, and the system.

  Args:
    device: What computes, as the caller's library names it.
  """
  return {
    "cpu": _processor(),
    "cores": cores.available(),
    "device": device,
    "system": platform.platform(),
  }


def _processor() -> str:
  """Returns the processor's name as Linux has it, else its architecture."""
  if _CPUINFO.exists():
    for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
      name, _, value = line.partition(":")
      if name.strip() == "model name":
        return value.strip()
  return platform.processor() or platform.machine()
