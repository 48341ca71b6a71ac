"""Holds the house together: floors, forbidden imports and names, sizes.

Everything is read from the sources by `ast`; only the last tests run code, in
processes of their own, to see what an import really loads. The checkers are
themselves tested on small bad examples, so that they are known to bite.
"""

import ast
import dataclasses
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Imports run strictly downward.
FLOORS = {
  "core": 0,
  "corpora": 1,
  "embeddings": 1,
  "docids": 1,
  "evaluation": 1,
  "models": 2,
  "decoding": 2,
  "tasks": 3,
  "training": 4,
  "interop": 4,
  "retrieval": 5,
  "querygen": 5,
  "stages": 6,
  "studies": 7,
  "serving": 7,
  "cli": 8,
}
# On one floor rooms do not know each other, but for these importers and what
# they import.
ARROWS = (
  ("genret.interop", "genret.training"),
  ("genret.models.stepper", "genret.decoding"),
  ("genret.docids", "genret.embeddings.store"),
)

TENSORFLOW = {
  "array_record",
  "clu",
  "seqio",
  "tensorflow",
  "tensorflow_datasets",
  "tensorflow_text",
}
JAX = {"chex", "flax", "jax", "jaxlib", "optax", "orbax"}
TORCH = {"onnxruntime", "sentence_transformers", "torch", "transformers"}

# What may be imported where; the second group only inside functions.
ALLOWED = (
  (TENSORFLOW, ("genret.tasks", "genret.corpora.tfds_builder"), False),
  (TENSORFLOW, ("genret.training.loop",), False),
  (TORCH, ("genret.interop", "genret.embeddings"), True),
  (TORCH, ("genret.querygen.gguf", "genret.querygen.shared"), True),
  (TORCH, ("genret.querygen.side_by_side",), True),
  ({"gin"}, ("genret.cli",), False),
  ({"t5x"}, ("genret.interop.t5x_model",), False),
)
WITHOUT_JAX = ("genret.core", "genret.corpora", "genret.evaluation")

FORBIDDEN_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}

# Signatures that a protocol fixes: the decoder's, that of seqio's data source,
# and that of attention in transformers.
PROTOCOL = {"step", "get_dataset", "attend"}

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
MODULE_LINES = 400
FUNCTION_LINES = 70
NESTING = 3
POSITIONAL = 3
PARAMETERS = 8

# Tests of something other than one module.
TESTS_OF_MANY = {
  "architecture_test.py",
  "cli/pipeline_test.py",
  "serving/page_test.py",
  "tools/docid_schemes_test.py",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Import:
  """One imported name: its dotted target, and where it stands."""

  target: str
  line: int
  in_function: bool


def within(module: str, parents: Sequence[str]) -> bool:
  """Says whether a dotted name is one of `parents` or lies below one."""
  return any(module == p or module.startswith(p + ".") for p in parents)


def imports(tree: ast.Module) -> Iterator[Import]:
  """Yields every import of a module; `from a import b` as `a.b`."""
  inner = {
    id(node)
    for function in ast.walk(tree)
    if isinstance(function, FUNCTION)
    for node in ast.walk(function)
  }
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      targets = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      base = "." * node.level + (node.module or "")
      targets = [f"{base}.{alias.name}" for alias in node.names]
    else:
      continue
    for target in targets:
      yield Import(
        target=target, line=node.lineno, in_function=id(node) in inner
      )


def floor_faults(module: str, tree: ast.Module) -> Iterator[str]:
  """Yields imports of this package that do not run downward."""
  room = module.split(".")[1] if "." in module else None
  if room is None:
    return
  if room not in FLOORS:
    yield f"{module}: {room} is no room of the plan"
    return
  for item in imports(tree):
    if item.target.startswith("."):
      yield f"{module}:{item.line}: relative import"
    parts = item.target.split(".")
    if parts[0] != "genret" or len(parts) < 2 or parts[1] not in FLOORS:
      continue
    down = FLOORS[parts[1]] < FLOORS[room] or parts[1] == room
    arrow = any(
      within(module, [importer]) and within(item.target, [imported])
      for importer, imported in ARROWS
    )
    if not (down or arrow):
      yield f"{module}:{item.line}: {room} must not import {item.target}"


def library_faults(module: str, tree: ast.Module) -> Iterator[str]:
  """Yields imports of libraries that have no business in this module."""
  governed = TENSORFLOW | TORCH | {"gin", "t5x"}
  for item in imports(tree):
    library = item.target.split(".")[0]
    where = f"{module}:{item.line}: {library}"
    if library in JAX and within(module, WITHOUT_JAX):
      yield f"{where} (this room needs no JAX)"
    if library not in governed:
      continue
    rules = [
      rule for rule in ALLOWED if library in rule[0] and within(module, rule[1])
    ]
    if not rules:
      yield f"{where} is not imported in this module"
    elif all(rule[2] for rule in rules) and not item.in_function:
      yield f"{where} is imported inside functions only"


def nesting(statements: Sequence[ast.stmt]) -> int:
  """Returns how deep compound statements stand in each other.

  An `elif` stands as deep as its `if`; a function starts anew.
  """
  deepest = 0
  for statement in statements:
    if not isinstance(statement, COMPOUND):
      continue
    parts = [
      *getattr(statement, "handlers", ()),
      *getattr(statement, "cases", ()),
    ]
    blocks = [
      part.body for part in (statement, *parts) if hasattr(part, "body")
    ]
    blocks += [getattr(statement, "finalbody", [])]
    other = getattr(statement, "orelse", [])
    if len(other) == 1 and other[0].col_offset == statement.col_offset:
      deepest = max(deepest, nesting(other))  # An elif.
    else:
      blocks.append(other)
    deepest = max(deepest, *(1 + nesting(block) for block in blocks))
  return deepest


def size_faults(module: str, source: str, tree: ast.Module) -> Iterator[str]:
  """Yields what is too long, too deep or takes too much."""
  lines = len(source.splitlines())
  if lines > MODULE_LINES:
    yield f"{module}: {lines} lines, at most {MODULE_LINES}"
  for node in ast.walk(tree):
    if not isinstance(node, FUNCTION):
      continue
    where = f"{module}:{node.lineno}: {node.name}"
    length = node.end_lineno - node.lineno + 1
    if length > FUNCTION_LINES:
      yield f"{where} has {length} lines, at most {FUNCTION_LINES}"
    if (depth := nesting(node.body)) > NESTING:
      yield f"{where} nests {depth} deep, at most {NESTING}"
    positional = [*node.args.posonlyargs, *node.args.args]
    count = sum(a.arg not in ("self", "cls") for a in positional)
    if count > POSITIONAL and node.name not in PROTOCOL:
      yield f"{where} takes {count} positional, at most {POSITIONAL}"
    if (total := count + len(node.args.kwonlyargs)) > PARAMETERS:
      yield f"{where} takes {total} parameters, at most {PARAMETERS}"


def name_faults(module: str) -> Iterator[str]:
  """Yields parts of a module's name that say nothing."""
  for part in module.split("."):
    if set(part.split("_")) & FORBIDDEN_NAMES:
      yield f"{module}: {part} is no name for one idea"


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
  """Returns groups of modules that import each other, directly or not."""
  reach = {node: set(targets) for node, targets in graph.items()}
  for middle in reach:
    for node in reach:
      if middle in reach[node]:
        reach[node] |= reach[middle]
  groups = {
    frozenset(b for b in reach[a] if a in reach.get(b, ()))
    for a in reach
    if a in reach[a]
  }
  return sorted(sorted(group) for group in groups)


def sources() -> dict[str, str]:
  """Returns the text of every module of the package, by dotted name."""
  found = {}
  for path in sorted((ROOT / "genret").rglob("*.py")):
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts).removesuffix(".__init__")
    found[name] = path.read_text(encoding="utf-8")
  return found


def import_graph(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
  """Returns module -> modules of the package that it imports."""

  def known(target: str) -> str | None:
    while target and target not in trees:
      target = target.rpartition(".")[0]
    return target or None

  return {
    module: {known(i.target) for i in imports(tree)} - {"genret", None}
    for module, tree in trees.items()
  }


SOURCES = sources()
TREES = {module: ast.parse(text) for module, text in SOURCES.items()}


@pytest.mark.parametrize("module", SOURCES)
def test_module_keeps_the_rules(module):
  tree = TREES[module]
  faults = [
    *floor_faults(module, tree),
    *library_faults(module, tree),
    *size_faults(module, SOURCES[module], tree),
    *name_faults(module),
  ]
  assert not faults, "\n".join(faults)


def test_no_import_cycles():
  assert cycles(import_graph(TREES)) == []


def test_tests_mirror_the_package():
  tests = {
    path.relative_to(ROOT / "tests").as_posix()
    for path in (ROOT / "tests").rglob("*_test.py")
  }
  expected = {
    "/".join(module.split(".")[1:]) + "_test.py"
    for module in SOURCES
    if module.count(".") > 1
  }
  untested = expected - tests
  strays = tests - expected - TESTS_OF_MANY
  assert not untested, f"modules without a test: {sorted(untested)}"
  assert not strays, f"tests of no module: {sorted(strays)}"


def loaded_after(code: str) -> set[str]:
  """Returns the top-level modules in a fresh interpreter that ran `code`."""
  code += "\nimport sys\nprint(*{m.split('.')[0] for m in sys.modules})"
  shown = subprocess.check_output(
    [sys.executable, "-c", code], text=True, cwd=ROOT
  )
  return set(shown.splitlines()[-1].split())


def test_importing_genret_is_light():
  loaded = loaded_after("import genret; genret.__version__; dir(genret)")
  assert not loaded & (JAX | TENSORFLOW | TORCH | {"gin", "numpy"})


def test_command_line_help_is_light():
  code = "from genret.cli import main\ntry: main.main(['--help'])\n"
  loaded = loaded_after(code + "except SystemExit: pass")
  assert not loaded & (JAX | TENSORFLOW | TORCH | {"gin", "numpy"})


@pytest.mark.parametrize(
  ("rooms", "absent"),
  [
    (["core", "corpora", "evaluation"], JAX | TENSORFLOW | TORCH),
    (["docids", "embeddings", "models", "decoding"], TENSORFLOW | TORCH),
    (["retrieval"], TENSORFLOW | TORCH),
  ],
)
def test_rooms_load_no_more_than_they_may(rooms, absent):
  wanted = [
    module
    for module in SOURCES
    if within(module, [f"genret.{room}" for room in rooms])
    and module != "genret.corpora.tfds_builder"
  ]
  loaded = loaded_after("import " + ", ".join(wanted))
  assert not loaded & absent


# The checkers themselves, on small bad examples.


@pytest.mark.parametrize(
  ("checker", "module", "source", "fault"),
  [
    (floor_faults, "genret.core.a", "import genret.tasks.b", "must not"),
    (floor_faults, "genret.tasks.a", "from genret.cli import b", "must not"),
    (floor_faults, "genret.models.a", "import genret.decoding.b", "must not"),
    (floor_faults, "genret.models.a", "from . import b", "relative"),
    (floor_faults, "genret.attic.a", "", "no room"),
    (library_faults, "genret.core.a", "import gin", "not imported"),
    (library_faults, "genret.core.a", "import jax.numpy", "no JAX"),
    (library_faults, "genret.models.a", "def f():\n  import seqio", "not"),
    (library_faults, "genret.interop.a", "import torch", "inside functions"),
    (library_faults, "genret.docids.a", "def f():\n  import torch", "not"),
    (library_faults, "genret.interop.t5x", "from t5x import models", "not"),
  ],
)
def test_bad_import_is_found(checker, module, source, fault):
  assert fault in "\n".join(checker(module, ast.parse(source)))


@pytest.mark.parametrize(
  ("checker", "module", "source"),
  [
    (floor_faults, "genret.models.stepper", "import genret.decoding.b"),
    (floor_faults, "genret.docids.a", "from genret.embeddings import store"),
    (floor_faults, "genret.interop.a", "import genret.training.b"),
    (floor_faults, "genret.cli.a", "import genret.core.b, genret.cli.c"),
    (library_faults, "genret.interop.a", "def f():\n  import torch"),
    (library_faults, "genret.training.loop", "import clu"),
    (library_faults, "genret.cli.a", "import gin"),
  ],
)
def test_good_import_passes(checker, module, source):
  assert not list(checker(module, ast.parse(source)))


@pytest.mark.parametrize(
  ("source", "fault"),
  [
    ("x = 1\n" * 401, "401 lines"),
    ("def f():\n" + "  x = 1\n" * 70, "71 lines"),
    ("def f(a, b, c, d): pass", "4 positional"),
    ("def f(*, a, b, c, d, e, f, g, h, i): pass", "9 parameters"),
    (
      "def f():\n for a in b:\n  if a:\n   while c:\n    with d:\n     x = 1",
      "nests 4 deep",
    ),
  ],
)
def test_size_over_the_limit_is_found(source, fault):
  faults = size_faults("genret.core.a", source, ast.parse(source))
  assert fault in "\n".join(faults)


def test_elif_is_no_deeper_than_its_if():
  chain = "if a: x\nelif b: y\nelif c: z\nelse:\n  if d: w"
  assert nesting(ast.parse(chain).body) == 2


def test_forbidden_name_is_found():
  assert list(name_faults("genret.core.text_utils"))
  assert not list(name_faults("genret.core.commons"))


def test_cycle_is_found():
  graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
  assert cycles(graph) == [["a", "b", "c"]]
  assert cycles({"a": {"b"}, "b": set()}) == []
