"""What accounts share: sizes of files, how a search is said."""

from genret.stages import account
from genret.stages.account import Search
from genret.stages.written_costs import Written


def test_beams_are_as_many_as_documents_unless_said():
  assert Search(k=7).beams == 7
  assert Search(k=7, num_beams=3).beams == 3


def test_weights_take_four_bytes_a_parameter(untrained, collection):
  found = Written.of(untrained("atomic"), collection)
  sizes = found.sizes()
  assert sizes["weights"] == 4 * found.parameters()["all"]
  assert sizes["index"] == sizes["trie"] + sizes["docids"]
  assert found.scheme == "atomic"


def test_files_are_summed_below_a_folder(tmp_path):
  (tmp_path / "inner").mkdir()
  (tmp_path / "inner" / "a").write_bytes(b"12345")
  (tmp_path / "b").write_bytes(b"123")
  assert account.file_bytes(tmp_path) == 8
  assert account.file_bytes(tmp_path / "nothing") == 0
