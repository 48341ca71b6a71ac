import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core import docid_table
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, UserError


def table(rows, *, vocab_size=10, **kwargs):
  docnos = kwargs.pop("docnos", [f"d{i}" for i in range(len(rows))])
  return DocidTable(
    codes=np.array(rows),
    docnos=docnos,
    vocab_size=vocab_size,
    scheme="test",
    **kwargs,
  )


def test_facts_of_a_table():
  made = table([[2, 3, 1], [4, 1, 0], [2, 2, 1]])
  assert made.codes.dtype == np.uint16
  assert (made.num_documents, made.length) == (3, 3)
  assert made.has_eos
  assert made.lengths().tolist() == [3, 2, 3]
  assert made.collisions() == []


def test_fixed_lengths_carry_no_eos():
  assert not table([[2, 3], [3, 2]]).has_eos


def test_over_65536_symbols_are_int32():
  assert table([[65_536]], vocab_size=65_537).codes.dtype == np.int32
  assert table([[65_535]], vocab_size=65_536).codes.dtype == np.uint16


def test_collisions_are_listed_by_their_first_row():
  made = table([[5, 1], [2, 1], [5, 1], [3, 1], [2, 1], [5, 1]])
  assert made.collisions() == [(0, 2, 5), (1, 4)]


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    ([[2, 0, 3]], r"document 'd0' \(row 0: 2 3\) has pads before its end"),
    ([[2, 3], [0, 0]], r"document 'd1' \(row 1: \) is empty"),
    ([[2, 1, 3]], "goes on after EOS"),
    ([[2, 1, 1]], "goes on after EOS"),
    ([[2, 10]], "Symbol 10 of document 'd0' .* vocabulary of 10"),
    ([[2, -1]], "Symbol -1 of document 'd0'"),
    ([[2, 70_000]], "Symbol 70000"),
    ([[2.0, 3.0]], "whole numbers; float64 came"),
    ([2, 3], "matrix"),
    (np.zeros((0, 3), int), "matrix"),
  ],
)
def test_bad_rows_are_named(rows, message):
  with pytest.raises(UserError, match=message):
    table(rows)


def test_a_proper_prefix_is_an_error_naming_both():
  with pytest.raises(UserError) as error:
    table([[4, 5, 6], [3, 3, 3], [4, 5, 0]])
  assert "'d2' (row 2: 4 5) is a proper prefix" in str(error.value)
  assert "'d0' (row 0: 4 5 6)" in str(error.value)


def test_equal_rows_do_not_hide_a_prefix():
  with pytest.raises(UserError, match="proper prefix"):
    table([[4, 0], [4, 0], [4, 2]])


def test_docnos_must_be_as_many_as_rows():
  with pytest.raises(UserError, match="2 docids came with 1 docnos"):
    table([[2], [3]], docnos=["a"])


def test_a_vocabulary_counts_pad_and_eos():
  with pytest.raises(UserError, match="over 2; 2 came"):
    table([[1]], vocab_size=2)


def is_proper_prefix(a, b):
  return len(a) < len(b) and b[: len(a)] == a


rows_strategy = st.lists(
  st.lists(st.integers(2, 4), min_size=1, max_size=5),
  min_size=1,
  max_size=12,
)


def padded(rows):
  width = max(map(len, rows))
  return [row + [0] * (width - len(row)) for row in rows]


@pytest.mark.parametrize("vocab_size", [5, 70_000])  # two widths of a symbol
@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
@settings(deadline=None, max_examples=50)
@given(rows=rows_strategy)
def test_prefixes_and_collisions_as_by_brute_force(rows, vocab_size, chunk):
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(docid_table, "_CHUNK", chunk)
    if any(is_proper_prefix(a, b) for a in rows for b in rows):
      with pytest.raises(UserError, match="proper prefix"):
        table(padded(rows), vocab_size=vocab_size)
      return
    groups = defaultdict(list)
    for i, row in enumerate(rows):
      groups[tuple(row)].append(i)
    expected = [tuple(group) for group in groups.values() if len(group) > 1]
    made = table(padded(rows), vocab_size=vocab_size)
    assert made.collisions() == sorted(expected)
    assert made.lengths().tolist() == [len(row) for row in rows]


@settings(deadline=None, max_examples=30)
@given(rows=rows_strategy, vocab_size=st.sampled_from([5, 70_000]))
def test_saved_and_loaded_it_is_the_same(rows, vocab_size):
  ended = padded([row + [1] for row in rows])
  made = table(ended, vocab_size=vocab_size, text_vocabulary=True)
  with tempfile.TemporaryDirectory() as folder:
    made.save(Path(folder))
    loaded = DocidTable.load(Path(folder))
    assert isinstance(loaded.codes, np.memmap)
    np.testing.assert_array_equal(loaded.codes, made.codes)
    assert loaded.codes.dtype == made.codes.dtype
    assert loaded.docnos == made.docnos
    for name in ("vocab_size", "scheme", "text_vocabulary", "has_eos"):
      assert getattr(loaded, name) == getattr(made, name)
    loaded.check()


def test_a_loaded_table_saves_the_same_bytes(tmp_path):
  table([[2, 3], [3, 2]], docnos=["é", "b"]).save(tmp_path / "a")
  DocidTable.load(tmp_path / "a").save(tmp_path / "b")
  for path in (tmp_path / "a").iterdir():
    assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_what_is_no_table_says_so(tmp_path):
  with pytest.raises(ArtifactError, match="no docid table"):
    DocidTable.load(tmp_path)
  table([[2]]).save(tmp_path)
  (tmp_path / "table.json").write_text('{"format_version": 9}')
  with pytest.raises(ArtifactError, match="another format"):
    DocidTable.load(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
@pytest.mark.parametrize("length", [1, 2, 4, 5, 9])
def test_rows_are_ordered_as_tuples_are(dtype, length):
  codes = np.random.default_rng(length).integers(0, 3, (50, length), dtype)
  order = docid_table.lexicographic_order(codes).tolist()
  assert order == sorted(range(50), key=lambda i: (tuple(codes[i]), i))


def test_many_rows():
  rng = np.random.default_rng(0)
  codes = rng.integers(2, 12, (100_000, 6))
  made = table(codes, docnos=range(len(codes)), vocab_size=12)
  shared = sum(len(rows) - 1 for rows in made.collisions())
  assert shared == len(codes) - len(np.unique(codes @ 12 ** np.arange(6)))


TEN_MILLION = """
import sys, threading, time
from pathlib import Path
import numpy as np
from genret.core.docid_table import DocidTable
from genret.core.docnos import Docnos

def held():
  lines = Path("/proc/self/status").read_text().splitlines()
  fields = dict(line.split(":", 1) for line in lines)
  return sum(int(fields[k].split()[0]) for k in ("RssAnon", "RssShmem"))

def watch():
  global peak
  while True:
    peak = max(peak, held())
    time.sleep(0.01)

N, T = 10_000_000, 8
codes = np.empty((N, T), np.uint16)
numbers = np.random.default_rng(0).permutation(N)
for place in reversed(range(T - 1)):
  numbers, codes[:, place] = np.divmod(numbers, 10)
codes += 2
codes[:, -1] = 1
codes[codes[:, 6] == 2, 6:] = (1, 0)
text = np.frombuffer(b"d" * N, np.uint8)
docnos = Docnos(text, np.arange(N + 1, dtype=np.int64))
folder, peak = Path(sys.argv[1]), held()
threading.Thread(target=watch, daemon=True).start()
table = DocidTable(codes=codes, docnos=docnos, vocab_size=12, scheme="x")
table.save(folder)
del table, codes, text, docnos, numbers
started = time.perf_counter()
loaded = DocidTable.load(folder)
opened = time.perf_counter() - started
loaded.check()
print(opened, peak / 2**20, loaded.num_documents)
"""


@pytest.mark.slow
def test_ten_million_docids_in_little_memory(tmp_path):
  ran = subprocess.run(
    [sys.executable, "-c", TEN_MILLION, str(tmp_path)],
    capture_output=True,
    text=True,
    check=True,
  )
  seconds, gibibytes, count = map(float, ran.stdout.split())
  assert count == 10_000_000
  assert seconds < 0.5  # nothing is read
  assert gibibytes < 1.5


def test_levels_of_their_own_are_kept(tmp_path):
  made = table([[2, 5, 1], [4, 6, 8], [3, 5, 9]], level_starts=[2, 5, 8])
  assert made.level_starts == (2, 5, 8)
  made.save(tmp_path)
  assert DocidTable.load(tmp_path).level_starts == (2, 5, 8)
  table([[2], [3]]).save(tmp_path / "without")
  assert DocidTable.load(tmp_path / "without").level_starts is None
  assert "level" not in (tmp_path / "without" / "table.json").read_text()


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    ([[2, 5], [5, 5]], r"Symbol 0 .*document 'd1'.* is 5; .* symbols 2 to 4"),
    ([[2, 5], [2, 4]], r"Symbol 1 .*document 'd1'.* is 4; .* symbols 5 to 9"),
  ],
)
def test_a_symbol_of_another_level_is_refused(rows, message):
  with pytest.raises(UserError, match=message):
    table(rows, level_starts=(2, 5))


@pytest.mark.parametrize("starts", [(2,), (3, 5), (2, 2), (2, 10), (2, 5, 7)])
def test_levels_that_cannot_be_are_refused(starts):
  with pytest.raises(UserError, match="level_starts"):
    table([[2, 9]], level_starts=starts)
