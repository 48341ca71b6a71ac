from genret.cli import main
from genret.core.collection import Collection


def test_prepares_a_folder(birds, tmp_path, capsys):
  out = tmp_path / "birds"
  assert main.main(["prepare", f"--source={birds}", f"--out={out}"]) == 0
  assert Collection.open(out).num_documents == 6
  shown = capsys.readouterr().out
  assert f"wrote {out}" in shown and "next: genret docids" in shown


def test_second_run_finds_it_done(collection, birds, capsys):
  given = ["prepare", f"--source={birds}", f"--out={collection}"]
  assert main.main(given) == 0


def test_other_settings_do_not_overwrite(collection, birds, capsys):
  given = ["prepare", f"--source={birds}", f"--out={collection}", "--seed=7"]
  assert main.main(given) == 2
  assert str(collection) in capsys.readouterr().err


def test_unknown_source_is_one_line(tmp_path, capsys):
  assert main.main(["prepare", "--source=sqaud", f"--out={tmp_path}/x"]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and "Did you mean 'squad'?" in error


def test_provenance_holds_the_configuration(collection, birds):
  text = (collection / "provenance.json").read_text()
  assert "prepare.PrepareConfig:" in text and str(birds) in text


def test_tfds_is_a_switch(birds, tmp_path, capsys):
  given = ["prepare", f"--source={birds}", "--tfds", f"--out={tmp_path}/x"]
  assert main.main(given) == 0
  assert f"TFDS data sets in {tmp_path}/x/tfds" in capsys.readouterr().out
  assert (tmp_path / "x" / "tfds" / "manifest.json").exists()
  assert main.main([*given, "--tfds=maybe"]) == 2
  assert "--tfds: True or False, not 'maybe'" in capsys.readouterr().err


def test_beam_without_tfds_is_one_line(birds, tmp_path, capsys):
  given = ["prepare", f"--source={birds}", f"--out={tmp_path}/x"]
  assert main.main([*given, "--tfds=false", "--beam_runner=DirectRunner"]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and "tfds is False; set both" in error
