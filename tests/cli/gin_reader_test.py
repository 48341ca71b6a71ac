import pathlib

import pytest

from genret.cli import gin_reader
from genret.cli.gin_names import Seen
from genret.core.errors import ConfigError


def read(text, *, name="a.gin", search_paths=()):
  path = pathlib.Path(name)
  path.write_text(text)
  return list(gin_reader.read_file(path, search_paths, Seen()))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)


def test_bindings_know_their_lines():
  found = read("# first\nA = 1\n\nB = {'x': [%A, (2,)]}\n")
  assert [(b.text, b.place) for b in found] == [
    ("A", "a.gin:2"),
    ("B", "a.gin:4"),
  ]
  assert found[1].value == {"x": [gin_reader.Macro(name="A"), (2,)]}


def test_blocks_and_references(stage):
  found = read(
    "from __gin__ import dynamic_registration\n"
    "import sample_stage\n"
    "x/sample_stage.Adam:\n"
    "  beta = 0.5\n"
    "  rate = @y/sample_stage.Rate()\n"
  )
  assert [b.text for b in found] == [
    "x/sample_stage.Adam.beta",
    "x/sample_stage.Adam.rate",
  ]
  assert found[1].place == "a.gin:5"
  assert found[1].target is stage.Adam
  reference = found[1].value
  assert reference.target is stage.Rate
  assert reference.scope == ("y",) and reference.evaluate


def test_includes_are_read_in_place():
  pathlib.Path("b.gin").write_text("B = 2\n")
  found = read("A = 1\ninclude 'b.gin'\nC = 3\n")
  assert [(b.text, b.place) for b in found] == [
    ("A", "a.gin:1"),
    ("B", "b.gin:1"),
    ("C", "a.gin:3"),
  ]


def test_include_of_itself_is_refused():
  with pytest.raises(ConfigError, match="a.gin: the file includes itself"):
    read("include 'a.gin'\n")


def test_missing_include_names_the_line_and_the_nearest_file():
  pathlib.Path("tiny.gin").write_text("")
  with pytest.raises(ConfigError, match=r"a.gin:2: no gin file: 'tyni.gin'"):
    read("A = 1\ninclude 'tyni.gin'\n")


@pytest.mark.parametrize(
  ("text", "place"),
  [
    ("A = 1\nB = [1,\n", r"a.gin:[23]"),
    ("A = 1\nB = \nC = 2\n", "a.gin:2"),
    ("A = 1\nB\n", "a.gin:2"),
    ("A = 1\nB = 'x\n", "a.gin:2"),
    ("A = 1\nB = runs/x\n", "a.gin:2"),
    ("A = 1\nB = $\n", "a.gin:2"),
    ("A:\n  b = 1\n c = 2\n", "a.gin:3"),
    ("A = 1 2\n", "a.gin:1"),
  ],
)
def test_syntax_error_names_file_and_line(text, place):
  with pytest.raises(ConfigError, match=f"^{place}: not gin syntax: ") as e:
    read(text)
  assert "\n" not in str(e.value)


def test_file_that_is_no_text_is_refused():
  pathlib.Path("a.gin").write_bytes(b"A = '\xff'\n")
  with pytest.raises(ConfigError, match="a.gin: not UTF-8"):
    list(gin_reader.read_file(pathlib.Path("a.gin"), (), Seen()))


@pytest.mark.parametrize(
  ("line", "message"),
  [
    ("import genret.stages.trian", "no module genret.stages.trian"),
    ("import nowhere_at_all", "no module nowhere_at_all"),
    ("from genret.core import errors\nerrors.UserEror.x = 1", "no 'UserEror'"),
    (
      "from genret.core import text\ntext.x = 1",
      "text is no function and no class",
    ),
    ("from genret.core import text\ntext.Tokenizer.y = 1", "no parameter 'y'"),
    ("Nothing.x = 1", "no import provides Nothing"),
  ],
)
def test_unknown_name_is_refused(line, message):
  text = f"from __gin__ import dynamic_registration\n{line}\n"
  with pytest.raises(ConfigError, match=rf"^a.gin:\d: .*{message}"):
    read(text)


def test_module_that_lacks_a_package_says_which():
  pathlib.Path("needs_more.py").write_text("import nowhere_at_all\n")
  import sys

  sys.path.insert(0, ".")
  try:
    with pytest.raises(ConfigError, match="needs the package nowhere_at_all"):
      read("import needs_more\n")
  finally:
    sys.path.remove(".")
