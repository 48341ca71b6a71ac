import dataclasses
import pathlib

import pytest

from genret.cli.command import Flag, StageCommand, read_command
from genret.core.errors import ConfigError


@pytest.fixture
def command(stage):
  return StageCommand(
    name="sample",
    stage="sample_stage",
    description="Runs the sample stage.",
    example="  genret sample --corpus=c --out=o",
    flags=(
      Flag(name="corpus", help="a folder"),
      Flag(name="out", help="where it goes"),
      Flag(name="steps", help="how long", type=int),
    ),
    report=lambda result, given: f"{result[0].steps} steps into {given['out']}",
  )


GIVEN = ["--gin_file=run.gin", "--corpus=c"]


def test_runs_the_stage_and_reports(command, capsys):
  assert command.run([*GIVEN, "--out=a/b", "--steps=7"]) == 0
  assert capsys.readouterr().out == "7 steps into a/b\n"


def test_nothing_is_said_where_there_is_nothing_to_say(command, capsys):
  silent = dataclasses.replace(command, report=lambda result, given: "")
  assert silent.run([*GIVEN, "--out=a/b"]) == 0
  assert capsys.readouterr().out == ""


def test_stage_receives_the_gin_text(command):
  command.run([*GIVEN, "--out=o", "--gin.Rate.peak=0.75"])
  text = pathlib.Path("o/config.gin").read_text()
  assert "sample_stage.Rate:\n  decay = 'constant'\n  peak = 0.75\n" in text
  assert "OUT = 'o'" in text


def test_a_command_line_is_read_and_nothing_runs(command):
  values, text = command.read([*GIVEN, "--out=o", "--steps=7"])
  assert values["corpus"] == "c" and values["config"].steps == 7
  assert "STEPS = 7" in text
  assert not pathlib.Path("o").exists()
  with pytest.raises(ConfigError, match="STEPZ"):
    command.read([*GIVEN, "--out=o", "--gin.STEPZ=7"])


def test_a_command_is_read_by_its_name():
  found = read_command(["evaluate", "--collection=c", "--runs=r", "--out=o"])
  assert found.values["collection"] == "c"
  assert found.values["run_files"] == {"r": "r"}
  assert "EvaluateConfig" in found.text


def test_a_first_word_may_stand_for_a_flag(command, capsys):
  placed = dataclasses.replace(command, positional="out")
  assert placed.run(["a/b", *GIVEN, "--steps=7"]) == 0
  assert capsys.readouterr().out == "7 steps into a/b\n"
  assert "sample [OUT] [flags]" in placed.parser().format_usage()
  with pytest.raises(ConfigError, match="unknown argument 'a/b'"):
    command.run(["a/b", *GIVEN])


def test_text_of_a_run_runs_again(command, capsys):
  command.run([*GIVEN, "--out=o"])
  again = ["--gin_file=o/config.gin", "--out=p"]
  assert command.run(again) == 0
  first, second = (pathlib.Path(f"{o}/config.gin").read_text() for o in "op")
  assert first.replace("'o'", "'p'") == second


def test_gin_flags_win_over_plain_ones(command, capsys):
  command.run([*GIVEN, "--out=o", "--steps=7", "--gin.STEPS=9"])
  assert capsys.readouterr().out == "9 steps into o\n"


def test_later_files_win(command, capsys):
  pathlib.Path("more.gin").write_text("STEPS = 11\n")
  command.run([*GIVEN, "--gin_file=more.gin", "--out=o"])
  assert capsys.readouterr().out == "11 steps into o\n"


def test_search_paths(command, tmp_path, capsys):
  (tmp_path / "elsewhere").mkdir()
  (tmp_path / "elsewhere" / "other.gin").write_text("STEPS = 12\n")
  given = [*GIVEN, "--gin_file=other.gin", "--out=o"]
  command.run([*given, "--gin_search_paths=nowhere,elsewhere"])
  assert capsys.readouterr().out == "12 steps into o\n"


def test_number_given_as_text_stays_text(command):
  with pytest.raises(ConfigError, match="invalid int value: 'ten'"):
    command.run([*GIVEN, "--out=o", "--steps=ten"])
  command.run([*GIVEN, "--out=5"])
  assert pathlib.Path("5").is_dir()


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--outt=o"], "unknown flag '--outt'. Did you mean '--out'?"),
    (["--ou=o"], "unknown flag '--ou'"),
    (["o"], "unknown argument 'o'"),
    (["--gin_file"], "expected one argument"),
    (["--gin_fil=x"], "Did you mean '--gin_file'"),
    (["--gin.STEPS", "3"], "expected --gin.NAME=value"),
    (["--gin_file=rum.gin"], "no gin file: 'rum.gin'"),
  ],
)
def test_wrong_flag_is_one_clear_line(command, arguments, message):
  with pytest.raises(ConfigError) as caught:
    command.run([*GIVEN, *arguments])
  assert message in str(caught.value)
  assert "\n" not in str(caught.value)


def test_nothing_is_written_where_a_flag_is_wrong(command):
  with pytest.raises(ConfigError):
    command.run([*GIVEN, "--out=o", "--gin.STEPS='ten'"])
  assert not pathlib.Path("o").exists()


def test_help_teaches(command, capsys):
  with pytest.raises(SystemExit) as ended:
    command.run(["--help"])
  assert ended.value.code == 0
  text = capsys.readouterr().out
  for part in (
    "usage: genret sample [flags]",
    "Runs the sample stage.",
    "--corpus TEXT",
    "how long (%STEPS)",
    "--gin_search_paths=A,B",
    "runs/sample.gin",
    "genret sample --corpus=c --out=o",
  ):
    assert part in text
  assert max(map(len, text.splitlines())) <= 80
