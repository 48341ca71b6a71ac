import json

from genret.cli import main
from genret.tasks.synthetic import read_queries

QUERIES = """\
heron\twhich grey bird stands in shallow water
heron\twhich grey bird stands in the shallow water
wren\twhich bird is large
owl\twho steers with a forked tail
owl\twho finds a mouse in the dark
"""


def test_keeps_what_finds_its_document(collection, tmp_path, capsys):
  queries = tmp_path / "queries.tsv"
  queries.write_text(QUERIES)
  given = [f"--queries={queries}", f"--collection={collection}"]
  out = tmp_path / "out"
  assert main.main(["filter", *given, f"--out={out}", "--depth=6"]) == 0
  shown = capsys.readouterr().out
  kept = [(q.docno, q.text) for q in read_queries(out / "queries.jsonl")]
  lines = [tuple(line.split("\t")) for line in QUERIES.splitlines()]
  assert kept[0] == lines[0] and kept[-1] == lines[4]
  assert lines[1] not in kept and lines[3] not in kept
  assert "find their document within 6" in shown
  assert f"--gin.QUERIES={out}" in shown and f"{out}/report.svg" in shown
  again = tmp_path / "again"
  given = [f"--queries={out}", f"--collection={collection}", "--keep_best"]
  near = ["--near_duplicates=1.0", "--k=2", "--by=bm25"]
  assert main.main(["filter", *given, *near, f"--out={again}"]) == 0
  rule = json.loads((again / "manifest.json").read_text())["arguments"]["rule"]
  assert rule == {"k": 2, "keep_best": True, "near_duplicates": 1.0}
  assert (again / "queries.jsonl").read_bytes() == (
    out / "queries.jsonl"
  ).read_bytes()


def test_what_is_wrong_is_one_line(collection, tmp_path, capsys):
  queries = tmp_path / "queries.tsv"
  queries.write_text("ostrich\twhich bird cannot fly\n")
  given = [f"--queries={queries}", f"--collection={collection}"]
  for flags, said in (
    ([], "queries.tsv:1: docno 'ostrich' is not in the collection"),
    (["--by=bm23"], "Did you mean 'bm25'"),
    (["--k=0"], "from 1 on; 0 came"),
    (["--near_duplicates=80"], "over 0"),
  ):
    out = f"--out={tmp_path}/out"
    assert main.main(["filter", *given, out, *flags]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("error:") == 1
  assert not (tmp_path / "out").exists()
