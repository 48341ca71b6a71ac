"""A configuration: the bindings in force, what they build, and their text.

The meaning of scopes, macros and references is gin's, and a test compares
what is built here with what gin builds from the same files. Building it here
has one purpose: gin passes a function on as a closure that hides its settings,
while a manifest must be able to name the function and every setting. So an
unevaluated reference becomes the function itself or, where some of its
parameters are bound, a `functools.partial` of it.
"""

import dataclasses
import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genret.cli.gin_names import Names, Seen, full_name, parameters
from genret.cli.gin_reader import Binding, Macro, Reference, as_gin
from genret.core.errors import ConfigError

Scope = tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Use:
  """One function or class that a configuration calls or hands on.

  Attributes:
    target: The function or class.
    scope: The scope in which its bindings are looked up.
    evaluate: Whether it is called here, so that it needs all parameters.
    place: Where the reference stands; "" for the stage itself.
  """

  target: Any
  scope: Scope
  evaluate: bool
  place: str


class Configuration:
  """The bindings of all files and flags of one run, the last ones in force."""

  def __init__(self, bindings: Sequence[Binding], seen: Seen):
    self._all = tuple(bindings)
    self._seen = seen
    self._final = {binding.key: binding for binding in bindings}

  @property
  def bindings(self) -> tuple[Binding, ...]:
    """Every binding in the order given, those replaced later included."""
    return self._all

  @property
  def final(self) -> tuple[Binding, ...]:
    """The bindings in force."""
    return tuple(self._final.values())

  def until(self, number: int) -> "Configuration":
    """Returns the configuration as it stood after so many bindings."""
    return Configuration(self._all[:number], self._seen)

  def macro(self, name: str) -> Binding | None:
    """Returns the binding of a macro."""
    return self._final.get(((name,), None, "value"))

  def macros_in(self, value: Any) -> list[Binding]:
    """Returns the bindings of the macros that a value reads, if set."""
    found = [
      self.macro(leaf.name) for leaf in leaves(value) if isinstance(leaf, Macro)
    ]
    return [binding for binding in found if binding]

  def bound(self, target: Any, scope: Scope = ()) -> dict[str, Binding]:
    """Returns parameter -> binding for a target used in a scope.

    A binding without scope holds everywhere; the longer the scope, the
    stronger the binding.
    """
    applicable = self.applicable(target, scope)
    return {binding.parameter: binding for binding in applicable}

  def applicable(self, target: Any, scope: Scope) -> list[Binding]:
    """Lists the bindings for a target in a scope, the strongest last."""
    found = [
      binding
      for binding in self._final.values()
      if binding.target is target
      and binding.scope == scope[: len(binding.scope)]
    ]
    return sorted(found, key=lambda binding: len(binding.scope))

  def uses(self, root: Any) -> list[Use]:
    """Lists what the stage function `root` makes use of, itself first."""
    waiting = [Use(target=root, scope=(), evaluate=True, place="")]
    seen: dict[tuple[Any, Scope, bool], Use] = {}
    while waiting:
      use = waiting.pop(0)
      if (key := (use.target, use.scope, use.evaluate)) in seen:
        continue
      seen[key] = use
      for binding in self.bound(use.target, use.scope).values():
        waiting += self._references(binding.value, use.scope, binding.place)
    return list(seen.values())

  def build(self, root: Any) -> dict[str, Any]:
    """Returns the arguments that are bound for the stage function `root`.

    Raises:
      ConfigError: If a constructor refuses what it was given.
    """
    return self._arguments(root, ())

  def used(self, root: Any) -> list[Binding]:
    """Returns the bindings that have an effect on `root`, macros too."""
    found: dict[int, Binding] = {}
    waiting = [
      binding
      for use in self.uses(root)
      for binding in self.applicable(use.target, use.scope)
    ]
    while waiting:
      binding = waiting.pop()
      if id(binding) not in found:
        found[id(binding)] = binding
        waiting += self.macros_in(binding.value)
    return list(found.values())

  def text(self, root: Any, *, defaults: bool = False) -> str:
    """Writes what has an effect on the stage function `root` as a gin file.

    Args:
      root: The stage function.
      defaults: Whether the parameters that nothing binds are written too, as
        far as their values can be (the operative configuration).
    """
    names = Names.of_flags(self._seen)
    imports = dict.fromkeys(s.format() for s in self._seen.imports)
    used = self.used(root)
    macros = [binding for binding in used if binding.target is None]
    if defaults:
      lines = set(self._operative_lines(root, names))
    else:
      lines = {_line(b, names) for b in used if b.target is not None}
    blocks: dict[str, list[str]] = {}
    for path, line in sorted(lines):
      blocks.setdefault(f"\n{path}:", []).append(f"  {line}")
    return "\n".join(
      [
        "from __gin__ import dynamic_registration",
        *sorted(imports),
        "",
        *sorted(f"{b.text} = {as_gin(b.value, names)}" for b in macros),
        *(line for head, body in blocks.items() for line in (head, *body)),
        "",
      ]
    )

  def _operative_lines(
    self, root: Any, names: Names
  ) -> Iterator[tuple[str, str]]:
    """Yields every parameter of what is used, by binding or by default."""
    for use in self.uses(root):
      bound = self.bound(use.target, use.scope)
      scope = max((b.scope for b in bound.values()), key=len, default=())
      path = _selector(use.target, scope, names)
      for name, parameter in parameters(use.target).items():
        if name in bound:
          yield path, f"{name} = {as_gin(bound[name].value, names)}"
        elif _is_literal(parameter.default):
          yield path, f"{name} = {parameter.default!r}"

  def _references(self, value: Any, scope: Scope, place: str) -> Iterator[Use]:
    """Yields what a value uses, through its macros."""
    for leaf in leaves(value):
      if isinstance(leaf, Reference):
        yield Use(
          target=leaf.target,
          scope=leaf.scope or scope,
          evaluate=leaf.evaluate,
          place=place,
        )
      elif isinstance(leaf, Macro) and (binding := self.macro(leaf.name)):
        yield from self._references(binding.value, (leaf.name,), binding.place)

  def _arguments(self, target: Any, scope: Scope) -> dict[str, Any]:
    return {
      parameter: self._value(binding.value, scope, binding.place)
      for parameter, binding in self.bound(target, scope).items()
    }

  def _value(self, value: Any, scope: Scope, place: str) -> Any:
    """Replaces references and macros in a value by what they stand for."""
    if isinstance(value, Macro):
      binding = self.macro(value.name)
      return self._value(binding.value, (value.name,), binding.place)
    if isinstance(value, Reference):
      return self._referred(value, value.scope or scope, place)
    if isinstance(value, dict):
      return {
        self._value(k, scope, place): self._value(v, scope, place)
        for k, v in value.items()
      }
    if isinstance(value, (list, tuple)):
      return type(value)(self._value(item, scope, place) for item in value)
    return value

  def _referred(self, reference: Reference, scope: Scope, place: str) -> Any:
    arguments = self._arguments(reference.target, scope)
    if not reference.evaluate:
      if not arguments:
        return reference.target
      return functools.partial(reference.target, **arguments)
    try:
      return reference.target(**arguments)
    except ValueError as error:
      bound = self.bound(reference.target, scope)
      place = _blamed(bound, str(error)) or place
      raise ConfigError(f"{place}: {error}") from error


def leaves(value: Any) -> Iterator[Any]:
  """Yields the values in nested lists, tuples and dicts."""
  if isinstance(value, Mapping):
    value = [*value.keys(), *value.values()]
  if isinstance(value, (list, tuple)):
    for item in value:
      yield from leaves(item)
  else:
    yield value


def _blamed(bound: Mapping[str, Binding], message: str) -> str | None:
  """Returns the place of the one parameter that a complaint is about."""
  named = [b.place for name, b in bound.items() if name in message.split()]
  dotted = [b.place for name, b in bound.items() if f".{name} " in message]
  places = set(named or dotted)
  return places.pop() if len(places) == 1 else None


def _line(binding: Binding, names: Names) -> tuple[str, str]:
  """Returns a selector and `parameter = value`."""
  path = _selector(binding.target, binding.scope, names)
  return path, f"{binding.parameter} = {as_gin(binding.value, names)}"


def _selector(target: Any, scope: Scope, names: Names) -> str:
  return "/".join([*scope, names.path_to(target) or full_name(target)])


def _is_literal(value: Any) -> bool:
  """Says whether a default can be written down in a gin file."""
  if value is inspect.Parameter.empty:
    return False
  kinds = (bool, int, float, str, type(None))
  return all(isinstance(leaf, kinds) for leaf in leaves(value))
