"""Which command reads what others make."""

import importlib

import pytest

from genret.studies import pipeline


@pytest.mark.parametrize("command", pipeline.COMMANDS)
def test_what_a_command_reads_is_made_before_it(command):
  place = pipeline.COMMANDS.index(command)
  for below in pipeline.inputs(command, ()):
    assert pipeline.COMMANDS.index(below) < place


def test_what_is_read_otherwise_is_made_before():
  for command, other in pipeline.OTHERWISE.items():
    order = ("", *pipeline.SHARED)
    assert order.index(other) < order.index(command)


@pytest.mark.parametrize("command", pipeline.COMMANDS)
def test_all_are_commands_of_genret(command):
  found = importlib.import_module(f"genret.cli.{command}").COMMAND
  assert found.name == command
