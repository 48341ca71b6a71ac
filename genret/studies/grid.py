"""The grid of a study: axes, their choices, and the cells of their product."""

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

from genret.core.errors import ConfigError, suggest
from genret.studies.pipeline import (
  COMMANDS,
  FOLDERS,
  STATES,
  TRAINERS,
  inputs,
  placeholders,
)

SEED = "seed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
  """What one choice on an axis adds to the commands of a cell.

  Flags may hold placeholders: an axis in braces is the name of its choice,
  `{vectors}` the folder of the documents' vectors, `{queries}` that of
  generated queries, `{filtered}` of those that were kept, `{states}` one that
  keeps states of a frozen encoder, and any name of `values` what a choice sets
  it to.

  Attributes:
    flags: Command -> what is added to its flags.
    values: Placeholder -> text. A cell that needs one whose value is None is
      left out.
    trainer: Trains the cell: "train", or "dual_encoder", which has no docids.
    seeds: In place of the study's.
    exposures: In place of the study's.
    minutes: A budget of CPU-minutes in place of exposures.
    documents: Of the collection, for estimates before it is prepared.
    symbols: Of the docid vocabulary, likewise; None for one a document.
    knows: What was learned from other data, for the table.
  """

  flags: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
  values: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
  trainer: str | None = None
  seeds: tuple[int, ...] | None = None
  exposures: float | None = None
  minutes: float | None = None
  documents: int | None = None
  symbols: int | None = None
  knows: str = ""

  def __post_init__(self):
    for command in self.flags:
      if command not in COMMANDS:
        raise ConfigError(
          f"A choice has flags of {command!r}; a study runs"
          f" {', '.join(COMMANDS)}.{suggest(command, COMMANDS)}"
        )
      _check_order(command, self.flags[command])
    if self.trainer is not None:
      _known(self.trainer, TRAINERS, "trainer")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
  """What holds where certain choices meet.

  Attributes:
    when: Axis -> its choice, or several; all of them must be so.
    choice: What is then added, after the flags of all axes; None leaves such
      cells out of the grid.
  """

  when: Mapping[str, str | tuple[str, ...]]
  choice: Choice | None = None

  def holds(self, chosen: Mapping[str, str]) -> bool:
    """Says whether the rule is about a cell.

    >>> Rule(when={"docids": ("naive", "atomic")}).holds({"docids": "atomic"})
    True
    """
    return all(
      chosen[axis] in ((names,) if isinstance(names, str) else names)
      for axis, names in self.when.items()
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
  """A grid of experiments, how long each goes on, and how it is judged.

  Attributes:
    axes: Name -> its choices by name. A cell is named by its choices in this
      order, and flags are given in this order, so that later axes win.
    seeds: Of each combination of choices.
    exposures: Budget of a cell: how many examples of a document the model
      reads, in the mean over all documents.
    span: Calibration is six times so many steps.
    rules: What holds where choices meet.
    looks: At dev, in a run.
    pairs: Training pairs that are searched in the end.
    memorised: The least share of these whose document comes first; a cell
      below it is under-trained and orders nothing.
    compared: The axis whose choices are put in an order.
    pooled: An axis of folds, whose test queries are one row together; "" for
      none.
    plateau: Whether rows whose dev still rises order nothing either; budgets
      of a few minutes leave no others.
    split: Whose queries are searched.
    depth: Documents searched a query.
    measures: What the table shows; the first decides orders.
    notes: Name in the table -> what readers should know of it.
    contrasts: Name -> two filters; rows of one are tested against the other's.
    systems: Another system's name -> filter -> its run file.
    name: For the report.
    timed: Queries whose latency is measured of each cell, with what else
      `genret costs` counts; 0 for none of it.
    diagnosed: Queries that `genret diagnose` searches exhaustively in each
      cell; 0 for no diagnosis.
  """

  axes: Mapping[str, Mapping[str, Choice]]
  seeds: tuple[int, ...] = (0,)
  exposures: float = 100.0
  span: int = 10
  rules: Sequence[Rule] = ()
  looks: int = 10
  pairs: int = 2000
  memorised: float = 0.95
  compared: str = "inputs"
  pooled: str = ""
  plateau: bool = True
  split: str = "test"
  depth: int = 100
  measures: tuple[str, ...] = ("RR@10", "R@1", "R@10")
  notes: Mapping[str, str] = dataclasses.field(default_factory=dict)
  contrasts: Mapping[str, Sequence] = dataclasses.field(default_factory=dict)
  systems: Mapping[str, Mapping] = dataclasses.field(default_factory=dict)
  name: str = ""
  timed: int = 64
  diagnosed: int = 32

  def __post_init__(self):
    for axis, choices in self.axes.items():
      _check_names(axis, choices)
    _known(self.compared, self.axes, "compared")
    _known(self.pooled, ["", *self.axes], "pooled")
    if self.pooled == self.compared:
      raise ConfigError(
        f"{self.pooled!r} is pooled and compared; its choices are one row."
      )
    for rule in self.rules:
      for axis, names in rule.when.items():
        _known(axis, self.axes, "a rule")
        for name in (names,) if isinstance(names, str) else names:
          _known(name, self.axes[axis], f"a rule on {axis}")
    numbers = (self.exposures, self.looks, self.pairs, self.span)
    if min(numbers) <= 0 or not self.seeds:
      raise ConfigError(
        "A study needs seeds, and exposures, looks, pairs and a span over 0;"
        f" seeds are {self.seeds}, the others {numbers}."
      )

  def choices(self, chosen: Mapping[str, str]) -> list[Choice]:
    """Returns what holds for a cell, the strongest last."""
    own = [self.axes[axis][name] for axis, name in chosen.items()]
    met = [r.choice for r in self.rules if r.choice and r.holds(chosen)]
    return own + met

  def cells(self) -> list["Cell"]:
    """Lists all cells, those of the first seed first."""
    found = []
    for names in itertools.product(*self.axes.values()):
      chosen = dict(zip(self.axes, names, strict=True))
      if any(r.choice is None and r.holds(chosen) for r in self.rules):
        continue
      choices = self.choices(chosen)
      seeds = _last(choices, "seeds") or self.seeds
      budget = {
        "exposures": _last(choices, "exposures") or self.exposures,
        "minutes": _last(choices, "minutes"),
      }
      found += [
        (number, Cell(chosen=chosen, seed=seed, **budget))
        for number, seed in enumerate(seeds)
      ]
    return [cell for _, cell in sorted(found, key=lambda pair: pair[0])]

  def flags(self, command: str, chosen: Mapping[str, str]) -> list[str]:
    """Returns the flags of a command in a cell, placeholders unfilled."""
    return [
      flag
      for choice in self.choices(chosen)
      for flag in choice.flags.get(command, ())
    ]

  def trainer(self, chosen: Mapping[str, str]) -> str:
    """Returns the command that trains a cell."""
    return _last(self.choices(chosen), "trainer") or TRAINERS[0]

  def values(self, chosen: Mapping[str, str]) -> dict[str, str | None]:
    """Returns what the placeholders of a cell stand for, folders apart."""
    return {**chosen, **self.set_values(chosen)}

  def set_values(self, chosen: Mapping[str, str]) -> dict[str, str | None]:
    """Returns what the choices of a cell set placeholders to, the last wins."""
    found: dict[str, str | None] = {}
    for choice in self.choices(chosen):
      found |= choice.values
    return found

  def matters(self, command: str) -> list[str]:
    """Lists the axes that the result of a shared command depends on.

    >>> study = Study(
    ...   axes={
    ...     "collection": {"a": Choice(flags={"prepare": ["--source=a"]})},
    ...     "docids": {"atomic": Choice(), "wild": Choice(
    ...       flags={"docids": ["--embeddings={vectors}"]})},
    ...     "inputs": {"labelled": Choice(flags={"train": ["--x"]})},
    ...   }
    ... )
    >>> study.matters("embed"), study.matters("docids")
    (['collection'], ['collection', 'docids'])
    """
    direct = set(self._axes_of(command))
    for below in inputs(command, self._placeholders(command)):
      direct |= set(self.matters(below))
    return [axis for axis in self.axes if axis in direct]

  def _axes_of(self, command: str) -> Iterator[str]:
    """Yields the axes that set a command's flags or what these stand for."""
    named = self._placeholders(command)
    for axis, choices in self.axes.items():
      found = choices.values()
      if axis in named or any(_speaks(c, command, named) for c in found):
        yield axis
    for rule in self.rules:
      if rule.choice and _speaks(rule.choice, command, named):
        yield from rule.when

  def _placeholders(self, command: str) -> set[str]:
    everything = [c for choices in self.axes.values() for c in choices.values()]
    everything += [rule.choice for rule in self.rules if rule.choice]
    return {
      name
      for choice in everything
      for flag in choice.flags.get(command, ())
      for name in placeholders(flag)
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
  """One run of training, and what it is worth.

  >>> cell = Cell(
  ...   chosen={"collection": "squad", "inputs": "d2q"}, seed=1, exposures=50.0
  ... )
  >>> cell.name, cell.setting
  ('squad-d2q-1', 'squad-d2q')

  Attributes:
    chosen: Axis -> the name of its choice.
    seed: Of its training.
    exposures: Its budget.
    minutes: Its budget where it is one of time.
  """

  chosen: Mapping[str, str]
  seed: int
  exposures: float
  minutes: float | None = None

  @property
  def setting(self) -> str:
    """What its cost a step depends on."""
    return "-".join(self.chosen.values())

  @property
  def name(self) -> str:
    """Its folder is called so."""
    return f"{self.setting}-{self.seed}"


def chosen(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
  """Keeps the cells that one of the filters names.

  >>> study = Study(axes={"inputs": {"d2q": Choice(), "daq": Choice()}})
  >>> [cell.name for cell in chosen(study.cells(), ["inputs=daq"])]
  ['daq-0']

  Args:
    cells: All.
    only: Filters: AXIS=CHOICE, joined by commas, all of which must hold;
      `seed` is an axis as well. None at all keep everything.

  Raises:
    ConfigError: A filter names nothing.
  """
  if not only:
    return list(cells)
  kept: dict[str, Cell] = {}
  for filter_ in only:
    wanted = parsed(filter_)
    found = [cell for cell in cells if _matches(cell, wanted)]
    if not found:
      raise ConfigError(
        f"{filter_!r} names no cell; expected AXIS=CHOICE,AXIS=CHOICE of"
        f" {_shown_axes(cells)}."
      )
    kept |= {cell.name: cell for cell in found}
  return [cell for cell in cells if cell.name in kept]


def parsed(text: str) -> dict[str, str]:
  """Reads a filter.

  >>> parsed("docids=atomic, inputs=d2q")
  {'docids': 'atomic', 'inputs': 'd2q'}
  """
  pairs = (part.partition("=") for part in text.split(","))
  return {axis.strip(): name.strip() for axis, _, name in pairs}


def shard(cells: Sequence[Cell], part: str) -> list[Cell]:
  """Returns every n-th cell from the i-th on, `part` being i/n, from 1.

  >>> shard("abcde", "2/3")
  ['b', 'e']

  Raises:
    ConfigError: It is no i/n with 1 <= i <= n.
  """
  i, _, n = part.partition("/")
  if not (i.isdigit() and n.isdigit() and 1 <= int(i) <= int(n)):
    raise ConfigError(f"--shard={part}: expected i/n, as in 1/4, 2/4, 3/4, 4/4")
  return list(cells[int(i) - 1 :: int(n)])


def _speaks(choice: Choice, command: str, named: set[str]) -> bool:
  return bool(choice.flags.get(command)) or bool(named & choice.values.keys())


def _matches(cell: Cell, wanted: Mapping[str, str]) -> bool:
  own = {**cell.chosen, SEED: str(cell.seed)}
  return all(own.get(axis) == name for axis, name in wanted.items())


def _shown_axes(cells: Sequence[Cell]) -> str:
  found: dict[str, dict[str, None]] = {}
  for cell in cells:
    for axis, name in [*cell.chosen.items(), (SEED, str(cell.seed))]:
      found.setdefault(axis, {})[name] = None
  return "; ".join(
    f"{axis}: {', '.join(names)}" for axis, names in found.items()
  )


def _last(choices: Sequence[Choice], name: str):
  found = [v for c in choices if (v := getattr(c, name)) is not None]
  return found[-1] if found else None


def _check_order(command: str, flags: Sequence[str]) -> None:
  for name in (name for flag in flags for name in placeholders(flag)):
    made = FOLDERS.get(name)
    if made and COMMANDS.index(made) >= COMMANDS.index(command):
      raise ConfigError(
        f"A flag of {command} names {{{name}}}, which {made} makes after it;"
        f" a study runs {', '.join(COMMANDS)}, in this order."
      )


def _check_names(axis: str, choices: Mapping[str, Choice]) -> None:
  reserved = {*FOLDERS, STATES, SEED}
  if axis in reserved or not axis.isidentifier():
    raise ConfigError(
      f"An axis is named {axis!r}; expected a word of letters, digits and _"
      f" that is none of {', '.join(sorted(reserved))}."
    )
  if not choices:
    raise ConfigError(f"Axis {axis!r} has no choice.")
  for name in choices:
    if not name.replace(".", "_").isidentifier() and not name.isalnum():
      raise ConfigError(
        f"A choice of {axis!r} is named {name!r}; expected letters, digits and"
        " _, as cells are folders named by their choices."
      )


def _known(name: str, known: Collection[str], where: str) -> None:
  if name not in known:
    raise ConfigError(
      f"{where} names {name!r}; known are {', '.join(known)}."
      f"{suggest(name, known)}"
    )
