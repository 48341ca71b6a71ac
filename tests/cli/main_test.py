import importlib
import subprocess
import sys
import types

import pytest

import genret
from genret.cli import main
from genret.core.errors import DataError


@pytest.fixture
def failing(monkeypatch):
  """A command `fail` that raises what it is told to."""

  def install(error):
    def run(arguments):
      raise error

    module = types.ModuleType("genret.cli.fail")
    module.COMMAND = types.SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "genret.cli.fail", module)
    monkeypatch.setitem(main.COMMANDS, "fail", "Fails.")

  return install


def test_help_lists_every_command(capsys):
  assert main.main(["--help"]) == 0
  shown = capsys.readouterr().out
  assert all(name in shown and what in shown for name, what in COMMANDS)
  assert main.main([]) == 0
  assert capsys.readouterr().out == shown
  assert max(map(len, shown.splitlines())) <= 80


COMMANDS = list(main.COMMANDS.items())


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_explains_itself(name, capsys):
  with pytest.raises(SystemExit) as ended:
    main.main([name, "--help"])
  assert ended.value.code == 0
  shown = capsys.readouterr().out
  assert f"usage: genret {name}" in shown
  assert f"  genret {name} " in shown.split("example:")[1]
  assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_names_the_flag_that_was_meant(name, capsys):
  assert main.main([name, "--gin_fiel=x"]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and "Did you mean '--gin_file'" in error


def test_version(capsys):
  assert main.main(["--version"]) == 0
  assert capsys.readouterr().out == f"genret {genret.__version__}\n"


def test_unknown_command_names_the_nearest(failing, capsys):
  failing(None)
  assert main.main(["fial"]) == 2
  error = capsys.readouterr().err
  assert error.startswith("error: no command 'fial'. Did you mean 'fail'?")
  assert error.count("\n") == 1


def test_user_error_is_one_line(failing, capsys):
  failing(DataError("empty text", path="corpus.jsonl", line=3))
  assert main.main(["fail"]) == 2
  assert capsys.readouterr().err == "error: corpus.jsonl:3: empty text\n"


def test_full_disk_is_one_line(failing, capsys):
  failing(OSError(28, "No space left on device", "out/codes.npy"))
  assert main.main(["fail"]) == 2
  error = capsys.readouterr().err
  assert error == "error: out/codes.npy: No space left on device.\n"


def test_interruption_says_that_a_rerun_goes_on(failing, capsys):
  failing(KeyboardInterrupt())
  assert main.main(["fail"]) == 130
  assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(2, "x")])
def test_fault_of_the_program_keeps_its_traceback(failing, error):
  failing(error)
  with pytest.raises(type(error)):
    main.main(["fail"])


def test_reader_that_stops_reading_is_no_error():
  code = "from genret.cli import main; import sys; sys.exit(main.main([]))"
  shell = f'"{sys.executable}" -c "{code}" | true; echo ${{PIPESTATUS[0]}}'
  finished = subprocess.run(
    ["bash", "-c", shell], capture_output=True, text=True, check=True
  )
  assert finished.stdout.strip() == "0"
  assert "Traceback" not in finished.stderr


def test_commands_have_modules():
  for name in main.COMMANDS:
    assert importlib.import_module(f"genret.cli.{name}").COMMAND.name == name
