from genret.cli import gin_setup, main
from genret.cli.retrieve import COMMAND
from genret.stages import retrieve
from genret.training.partitioning import MeshShape


def test_run_file_builds_the_settings():
  given = ["--gin.MODEL_DIR=m", "--gin.COLLECTION=c", "--gin.CHECKPOINT=300"]
  _, settings = gin_setup.split(given)
  built = gin_setup.load([COMMAND.run_file], settings).build(retrieve.run)
  assert built["config"] == retrieve.RetrieveConfig(checkpoint=300)
  assert built["model_dir"] == "m" and built["out"] is None


def test_the_constraint_is_a_macro():
  given = ["--gin.MODEL_DIR=m", "--gin.COLLECTION=c", "--gin.CONSTRAINED=False"]
  _, settings = gin_setup.split(given)
  built = gin_setup.load([COMMAND.run_file], settings).build(retrieve.run)
  assert built["config"] == retrieve.RetrieveConfig(constrained=False)


def test_a_mesh_is_two_macros():
  given = ["--gin.MODEL_DIR=m", "--gin.COLLECTION=c"]
  given += ["--gin.MODEL_PARALLEL=4", "--gin.FULLY_SHARDED=True"]
  _, settings = gin_setup.split(given)
  built = gin_setup.load([COMMAND.run_file], settings).build(retrieve.run)
  assert built["config"].mesh == MeshShape(model=4, fully_sharded=True)


def test_folder_that_is_no_model_is_one_line(collection, tmp_path, capsys):
  given = [f"--model_dir={tmp_path}", f"--collection={collection}"]
  assert main.main(["retrieve", *given]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and str(tmp_path) in error
