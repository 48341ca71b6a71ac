import subprocess
import sys

from genret.tasks.host_tensorflow import tf

LIGHT = """
import sys
import genret.tasks.indexing, genret.tasks.retrieval, genret.tasks.stream_feed
heavy = {"tensorflow", "seqio", "jax", "clu"} & set(sys.modules)
assert not heavy, heavy
"""


def test_accelerators_are_left_alone():
  assert {d.device_type for d in tf.config.list_logical_devices()} == {"CPU"}


def test_representations_and_streams_need_no_tensorflow():
  subprocess.run([sys.executable, "-c", LIGHT], check=True)
