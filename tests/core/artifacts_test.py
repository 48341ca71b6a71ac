import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from genret.core import artifacts
from genret.core.artifacts import Recipe
from genret.core.errors import ArtifactError

RECIPE = Recipe(
  stage="docids",
  arguments={"scheme": "naive", "sizes": (2, 3)},
  seed=1,
  inputs={"collection": "aa"},
)


def build(folder, recipe=RECIPE, text="hello"):
  with artifacts.building(folder, recipe) as draft:
    (draft / "sub").mkdir()
    (draft / "sub" / "data.txt").write_text(text)
  return folder


def test_a_finished_artifact(tmp_path):
  folder = build(tmp_path / "deep" / "out")
  manifest = artifacts.load(folder, stage="docids", format_version=1)
  assert manifest.files == {
    "sub/data.txt": hashlib.sha256(b"hello").hexdigest()
  }
  assert manifest.arguments == {"scheme": "naive", "sizes": [2, 3]}
  assert manifest.recipe == RECIPE
  assert artifacts.existing(folder, RECIPE) == manifest
  assert artifacts.verify(folder) == manifest
  assert [p.name for p in folder.parent.iterdir()] == ["out"]


def test_what_stands_aside_does_not_count(tmp_path):
  for place in ("one", "two"):
    with artifacts.building(
      tmp_path / place, RECIPE, aside=["where.json"]
    ) as draft:
      (draft / "where.json").write_text(place)
      (draft / "data.txt").write_text("hello")
  manifest = artifacts.verify(tmp_path / "one")
  assert list(manifest.files) == ["data.txt"]
  assert manifest.identity == artifacts.identity(tmp_path / "two")


def test_identity_is_the_hash_of_the_file_on_disk(tmp_path):
  folder = build(tmp_path / "out")
  raw = (folder / "manifest.json").read_bytes()
  assert artifacts.identity(folder) == hashlib.sha256(raw).hexdigest()


def test_the_manifest_on_disk(tmp_path):
  folder = tmp_path / "out"
  with artifacts.building(folder, Recipe(stage="s")) as draft:
    (draft / "a").write_text("")
  empty = hashlib.sha256(b"").hexdigest()
  assert (folder / "manifest.json").read_text() == (
    '{\n  "arguments": {},\n  "files": {\n    "a": "' + empty + '"\n  },\n'
    '  "format_version": 1,\n  "inputs": {},\n  "seed": null,\n'
    '  "stage": "s"\n}\n'
  )


def test_identity_depends_on_content_and_recipe_only(tmp_path):
  one = artifacts.identity(build(tmp_path / "a"))
  time.sleep(0.01)
  assert artifacts.identity(build(tmp_path / "b")) == one
  assert artifacts.identity(build(tmp_path / "c", text="x")) != one
  other = Recipe(stage="docids")
  assert artifacts.identity(build(tmp_path / "d", other)) != one


def test_provenance_stands_beside(tmp_path):
  with artifacts.building(tmp_path / "out", RECIPE, gin_text="A = 1") as draft:
    (draft / "a").write_text("")
  record = json.loads((tmp_path / "out" / "provenance.json").read_text())
  assert record["gin"] == "A = 1"
  assert "provenance.json" not in artifacts.load(tmp_path / "out").files


def test_nothing_there_is_none(tmp_path):
  assert artifacts.existing(tmp_path / "out", RECIPE) is None
  (tmp_path / "out").mkdir()
  assert artifacts.existing(tmp_path / "out", RECIPE) is None
  build(tmp_path / "out")  # an empty folder is taken over


def test_another_recipe_says_what_differs(tmp_path):
  folder = build(tmp_path / "out")
  other = Recipe(
    stage="docids",
    arguments={"scheme": "atomic", "sizes": [2, 3], "k": 4},
    seed=1,
    inputs={"collection": "bb"},
  )
  with pytest.raises(ArtifactError) as error:
    artifacts.existing(folder, other)
  message = str(error.value)
  assert 'argument scheme is "naive" there and "atomic" here' in message
  assert "argument k is nothing there and 4 here" in message
  assert 'input collection is "aa" there and "bb" here' in message
  assert "sizes" not in message
  assert "seed" not in message
  with pytest.raises(ArtifactError, match="another artifact"):
    build(folder, other)


def test_a_folder_of_something_else_is_not_touched(tmp_path):
  (tmp_path / "thesis.tex").write_text("x")
  with pytest.raises(ArtifactError, match="no finished artifact"):
    build(tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_exception_leaves_nothing(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    with artifacts.building(tmp_path / "out", RECIPE) as draft:
      (draft / "a").write_text("x")
      raise KeyboardInterrupt
  assert list(tmp_path.iterdir()) == []


def test_load_refuses_other_stages_formats_and_damage(tmp_path):
  folder = build(tmp_path / "out")
  with pytest.raises(ArtifactError, match="made by stage 'docids'.*'train'"):
    artifacts.load(folder, stage="train")
  with pytest.raises(ArtifactError, match="format version 1.*reads 2"):
    artifacts.load(folder, format_version=2)
  with pytest.raises(ArtifactError, match="no finished artifact of stage 'x'"):
    artifacts.load(tmp_path / "none", stage="x")
  for text in ("{", '{"stage": "x", "colour": 1}', "[]"):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match="damaged"):
      artifacts.load(folder)


def test_verify_names_the_damaged_file(tmp_path):
  folder = build(tmp_path / "out")
  (folder / "sub" / "data.txt").write_text("hellO")
  with pytest.raises(ArtifactError, match="data.txt has changed"):
    artifacts.verify(folder)
  (folder / "sub" / "data.txt").unlink()
  with pytest.raises(ArtifactError, match="data.txt is missing"):
    artifacts.verify(folder)


def test_two_builders_of_one_artifact(tmp_path):
  folder = tmp_path / "out"
  with artifacts.building(folder, RECIPE) as slow:
    (slow / "a").write_text("slow")
    with artifacts.building(folder, RECIPE) as fast:
      (fast / "a").write_text("fast")
    assert (folder / "a").read_text() == "fast"
  assert (folder / "a").read_text() == "fast"
  assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_two_builders_of_different_artifacts(tmp_path):
  folder = tmp_path / "out"
  with pytest.raises(ArtifactError, match="seed is 1 there and 2 here"):
    with artifacts.building(folder, Recipe(stage="s", seed=2)) as slow:
      (slow / "a").write_text("slow")
      with artifacts.building(folder, Recipe(stage="s", seed=1)) as fast:
        (fast / "a").write_text("fast")
  assert (folder / "a").read_text() == "fast"


def test_a_growing_artifact_is_begun_and_sealed(tmp_path):
  folder = tmp_path / "out"
  assert artifacts.begin(folder, RECIPE) is None
  (folder / "log.txt").write_text("no part of its identity")
  (folder / "weights").mkdir()
  (folder / "weights" / "a").write_text("x")
  assert artifacts.begin(folder, RECIPE) is None  # a later run goes on
  with pytest.raises(ArtifactError, match="no finished artifact"):
    artifacts.load(folder)
  sealed = artifacts.seal(
    folder, RECIPE, files=["weights/a"], started=time.time(), gin_text="A = 1"
  )
  assert sealed == artifacts.begin(folder, RECIPE) == artifacts.verify(folder)
  assert list(sealed.files) == ["weights/a"]
  record = json.loads((folder / "provenance.json").read_text())
  assert record["gin"] == "A = 1"


def test_killed_while_beginning_the_next_run_begins(tmp_path):
  folder = tmp_path / "out"
  artifacts.begin(folder, RECIPE)
  (folder / "recipe.json").rename(folder / ".recipe.json.tmp-a-b-1-0123abcd")
  assert artifacts.begin(folder, RECIPE) is None


def test_beginning_refuses_another_recipe_or_folder(tmp_path):
  artifacts.begin(tmp_path / "out", RECIPE)
  with pytest.raises(ArtifactError, match="seed is 1 there and 2 here"):
    artifacts.begin(tmp_path / "out", Recipe(stage="docids", seed=2))
  with pytest.raises(ArtifactError, match="not empty and no 'docids' was"):
    artifacts.begin(tmp_path, RECIPE)


BUILDER = """
import itertools, sys
from pathlib import Path
from genret.core import artifacts

root = Path(sys.argv[1])
for number in itertools.count(int(sys.argv[2])):
  recipe = artifacts.Recipe(stage="s", seed=number)
  with artifacts.building(root / f"a{number}", recipe) as draft:
    for i in range(3):
      (draft / f"file{i}").write_text(str(number) * 1000)
  artifacts.write_text(root / "count.txt", str(number) * 100)
  print(number, flush=True)
"""


def start_builder(root, number):
  repository = os.path.dirname(artifacts.__file__) + "/../.."
  return subprocess.Popen(
    [sys.executable, "-c", BUILDER, str(root), str(number)],
    env={**os.environ, "PYTHONPATH": repository},
    stdout=subprocess.PIPE,
  )


def test_killed_at_any_moment_it_is_whole_or_not_there(tmp_path):
  rng = random.Random(0)
  number = 0
  for _ in range(6):
    process = start_builder(tmp_path, number)
    process.stdout.readline()  # the first is finished; now at any moment
    time.sleep(rng.uniform(0, 0.04))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    finished = [p for p in tmp_path.iterdir() if p.name.startswith("a")]
    for folder in finished:
      manifest = artifacts.verify(folder)
      assert sorted(manifest.files) == ["file0", "file1", "file2"]
    assert len((tmp_path / "count.txt").read_text()) % 100 == 0
    number = max(int(folder.name[1:]) for folder in finished) + 1
  assert number >= 6


def test_killed_while_filling_it_the_next_one_starts_clean(tmp_path):
  script = (
    "import os, signal, sys\n"
    "from pathlib import Path\n"
    "from genret.core import artifacts\n"
    "recipe = artifacts.Recipe(stage='s')\n"
    "with artifacts.building(Path(sys.argv[1]), recipe) as draft:\n"
    "  (draft / 'half').write_text('x')\n"
    "  os.kill(os.getpid(), signal.SIGKILL)\n"
  )
  out = tmp_path / "out"
  repository = os.path.dirname(artifacts.__file__) + "/../.."
  result = subprocess.run(
    [sys.executable, "-c", script, str(out)],
    env={**os.environ, "PYTHONPATH": repository},
  )
  assert result.returncode == -signal.SIGKILL
  assert not out.exists()
  assert len(list(tmp_path.iterdir())) == 1  # the draft it left behind
  with artifacts.building(out, Recipe(stage="s")) as draft:
    (draft / "whole").write_text("x")
  assert [p.name for p in tmp_path.iterdir()] == ["out"]
  assert list(artifacts.verify(out).files) == ["whole"]


def test_text_and_json_files_are_replaced_whole(tmp_path):
  path = tmp_path / "sub" / "a.json"
  artifacts.write_text(path, "old")
  artifacts.write_json(path, {"b": 1, "a": "é"})
  assert path.read_text() == '{\n  "a": "\\u00e9",\n  "b": 1\n}\n'
  with pytest.raises(ZeroDivisionError):
    with artifacts.writing(path) as file:
      file.write("half")
      1 / 0  # noqa: B018
  assert json.loads(path.read_text())["b"] == 1
  assert [p.name for p in path.parent.iterdir()] == ["a.json"]
