"""Counts operations in a compiled program, as XLA's own analysis has them.

Beside `models/flops.py`, which counts the products of a traced program: here
additions, comparisons and the like count as well, and what the compiler has
merged or left out does not.
"""

from collections.abc import Callable
from typing import Any

import jax

from genret.models.flops import has_loops


def compiled_flops(
  function: Callable[..., Any], *arguments: Any
) -> float | None:
  """Compiles a function for the default device and counts its operations.

  Nothing is allocated for the arguments.

  >>> import jax.numpy as jnp
  >>> rows = jax.ShapeDtypeStruct((3, 4), jnp.float32)
  >>> compiled_flops(lambda a: a @ a.T, rows) >= 2 * 3 * 4 * 3
  True

  Args:
    function: what is compiled.
    *arguments: its arguments; `jax.ShapeDtypeStruct`s will do.

  Returns:
    Operations of a call. None where products stand in a loop, whose body
    XLA counts once however often it runs, or where the platform says nothing.
  """
  if has_loops(function, *arguments):
    return None
  compiled = jax.jit(function).lower(*arguments).compile()
  found = compiled.cost_analysis() or {}
  return found.get("flops")
