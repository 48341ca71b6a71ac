import json

import pytest

from genret.core import json_lines
from genret.core.errors import DataError

ROWS = [{"a": "Ünï\n\u2028"}, {"a": ""}, {"a": "x", "b": 3}]


def test_rows_are_read_in_any_order(tmp_path):
  path = tmp_path / "rows.jsonl"
  offsets = json_lines.write(path, iter(ROWS))
  lines = path.read_bytes().splitlines(keepends=True)
  assert [json.loads(line) for line in lines] == ROWS
  assert offsets.tolist() == [0, *(sum(map(len, lines[:i])) for i in (1, 2, 3))]
  assert list(json_lines.read(path)) == ROWS
  found = json_lines.read_rows(path, offsets, [2, 0, 2])
  assert list(found) == [ROWS[2], ROWS[0], ROWS[2]]


def test_no_rows(tmp_path):
  offsets = json_lines.write(tmp_path / "rows.jsonl", [])
  assert offsets.tolist() == [0]
  assert list(json_lines.read(tmp_path / "rows.jsonl")) == []


def test_a_broken_line_is_named(tmp_path):
  path = tmp_path / "rows.jsonl"
  offsets = json_lines.write(path, ROWS)
  path.write_bytes(path.read_bytes()[:-3])
  with pytest.raises(DataError, match="rows.jsonl:3: broken JSON"):
    list(json_lines.read(path))
  with pytest.raises(DataError, match="rows.jsonl:3: broken JSON"):
    list(json_lines.read_rows(path, offsets, [2]))
