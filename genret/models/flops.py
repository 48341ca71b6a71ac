"""Floating-point operations of a program, counted from its jaxpr.

Only matrix products and convolutions are counted: in a Transformer all else
is a few per cent. XLA's own count (`compiled.cost_analysis()`) sees the body
of a scan once, whatever its length; here a body counts as often as it runs.
Nothing is compiled or allocated, so that programs that fit no machine can be
counted.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core


def flops(
  function: Callable[..., Any],
  *arguments: Any,
  while_trips: int | None = None,
) -> int:
  """Counts the operations of one call, summed over all devices.

  >>> import jax.numpy as jnp
  >>> flops(lambda a, b: a @ b, jnp.zeros((2, 3)), jnp.zeros((3, 5)))
  60

  Args:
    function: what is traced.
    *arguments: its arguments; `jax.ShapeDtypeStruct`s will do.
    while_trips: how often the body of every `while_loop` runs, which no
      jaxpr says. None where there is none.

  Returns:
    Multiplications and additions of matrix products and convolutions. Of the
    branches of a `cond` the dearest counts.

  Raises:
    ValueError: a `while_loop` has products and `while_trips` is not given.
  """
  jaxpr = jax.make_jaxpr(function)(*arguments)
  return jaxpr_flops(jaxpr.jaxpr, while_trips=while_trips)


def jaxpr_flops(jaxpr: core.Jaxpr, *, while_trips: int | None = None) -> int:
  """Counts the operations of a jaxpr: see `flops`."""
  return sum(_equation(eqn, while_trips) for eqn in jaxpr.eqns)


def has_loops(function: Callable[..., Any], *arguments: Any) -> bool:
  """Whether products of a function stand in a loop of several turns.

  >>> import jax.numpy as jnp
  >>> rows = jnp.ones((2, 2))
  >>> def powers(rows):
  ...   return jax.lax.fori_loop(0, 9, lambda i, made: made @ rows, rows)
  >>> has_loops(powers, rows), has_loops(lambda rows: rows @ rows, rows)
  (True, False)

  Args:
    function: what is traced.
    *arguments: its arguments; `jax.ShapeDtypeStruct`s will do.
  """
  return _loops(jax.make_jaxpr(function)(*arguments).jaxpr)


def _loops(jaxpr: core.Jaxpr) -> bool:
  for eqn in jaxpr.eqns:
    inside = list(_inside(eqn))
    turns = _turns(eqn)
    if turns and any(jaxpr_flops(i, while_trips=1) for i in inside):
      return True
    if any(map(_loops, inside)):
      return True
  return False


def _turns(eqn: core.JaxprEqn) -> bool:
  name = eqn.primitive.name
  return name == "while" or (name == "scan" and eqn.params["length"] > 1)


def _equation(eqn: core.JaxprEqn, while_trips: int | None) -> int:
  name = eqn.primitive.name
  if name == "dot_general":
    return _dot_general(eqn)
  if name == "conv_general_dilated":
    return _convolution(eqn)
  inner = [
    jaxpr_flops(inside, while_trips=while_trips) for inside in _inside(eqn)
  ]
  if name == "cond":
    return max(inner, default=0)
  return _times(eqn, while_trips, any(inner)) * sum(inner)


def _times(eqn: core.JaxprEqn, while_trips: int | None, counts: bool) -> int:
  """Returns how often the inside of an equation runs, on all devices."""
  name = eqn.primitive.name
  if name == "scan":
    return eqn.params["length"]
  if name == "while" and counts:
    if while_trips is None:
      raise ValueError(
        "the program has a while_loop with matrix products, and a jaxpr does"
        " not say how often it runs; give while_trips."
      )
    return while_trips
  if name == "shard_map":
    sizes = dict(eqn.params["mesh"].shape)
    return math.prod(sizes[axis] for axis in eqn.params["newly_manual_axes"])
  return 1


def _inside(eqn: core.JaxprEqn) -> Iterator[core.Jaxpr]:
  """Yields the jaxprs that an equation runs: of jit, scan, cond, remat."""
  for value in eqn.params.values():
    for item in value if isinstance(value, (list, tuple)) else (value,):
      if isinstance(item, core.ClosedJaxpr):
        yield item.jaxpr
      elif isinstance(item, core.Jaxpr):
        yield item


def _dot_general(eqn: core.JaxprEqn) -> int:
  """A product sums over the contracted axes for each element it makes."""
  (contracted, _), _ = eqn.params["dimension_numbers"]
  left = eqn.invars[0].aval.shape
  made = math.prod(eqn.outvars[0].aval.shape)
  return 2 * made * math.prod(left[axis] for axis in contracted)


def _convolution(eqn: core.JaxprEqn) -> int:
  """Each element made sums over the kernel but for its output features."""
  kernel = eqn.invars[1].aval.shape
  features = eqn.params["dimension_numbers"].rhs_spec[0]
  made = math.prod(eqn.outvars[0].aval.shape)
  return 2 * made * math.prod(kernel) // kernel[features]
