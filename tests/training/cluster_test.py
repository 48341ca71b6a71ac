"""Who is told by which variables to join whom; talk in a process alone.

Several processes that really meet: `sharded_step.py`, and the slow tests of
the training stage.
"""

import time

import pytest

from genret.core.errors import ConfigError, UserError
from genret.training import cluster
from genret.training.cluster import Membership

EXPLICIT = {
  "GENRET_COORDINATOR": "10.0.0.1:1234",
  "GENRET_NUM_PROCESSES": "4",
  "GENRET_PROCESS_ID": "3",
}
SLURM = {
  "SLURM_JOB_ID": "7",
  "SLURM_STEP_NODELIST": "node[01-02]",
  "SLURM_NTASKS": "2",
  "SLURM_PROCID": "1",
  "SLURM_LOCALID": "0",
}


def test_explicit_variables_win():
  expected = Membership(
    coordinator_address="10.0.0.1:1234",
    num_processes=4,
    process_id=3,
    cluster_detection_method="deactivate",
  )
  assert cluster.membership(EXPLICIT) == expected
  assert cluster.membership(SLURM | EXPLICIT) == expected


def test_jaxs_own_variable_for_the_address_serves():
  environment = dict(EXPLICIT)
  environment["JAX_COORDINATOR_ADDRESS"] = environment.pop("GENRET_COORDINATOR")
  found = cluster.membership(environment)
  assert found.coordinator_address == "10.0.0.1:1234"


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"GENRET_COORDINATOR": "10.0.0.1"}, "expected host:port"),
    ({"GENRET_NUM_PROCESSES": "two"}, "NUM_PROCESSES is 'two'"),
    ({"GENRET_NUM_PROCESSES": "0"}, "NUM_PROCESSES is 0; expected 1"),
    ({"GENRET_PROCESS_ID": "4"}, "the last is 3"),
    ({"GENRET_PROCESS_ID": ""}, "PROCESS_ID is ''"),
  ],
)
def test_variables_that_make_no_sense_are_named(change, message):
  with pytest.raises(ConfigError, match=message):
    cluster.membership(EXPLICIT | change)


@pytest.mark.parametrize("name", EXPLICIT)
def test_one_variable_alone_is_no_way_to_stay_alone(name):
  with pytest.raises(ConfigError, match="expected"):
    cluster.membership({name: EXPLICIT[name]})


@pytest.mark.parametrize(
  "environment",
  [
    {},
    SLURM | {"SLURM_NTASKS": "1"},
    SLURM | {"GENRET_NUM_PROCESSES": "1"},
    {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8"},  # salloc's shell, not srun's
    {"TPU_WORKER_HOSTNAMES": "localhost"},
  ],
)
def test_alone(environment):
  assert cluster.membership(environment) is None


@pytest.mark.parametrize(
  ("a_node", "devices"), [("1(x2)", ()), ("1", ()), ("4(x2)", None)]
)
def test_a_lone_task_of_a_node_has_all_its_devices(a_node, devices):
  found = cluster.membership(SLURM | {"SLURM_STEP_TASKS_PER_NODE": a_node})
  assert found.cluster_detection_method == "slurm"
  assert found.local_device_ids == devices


def test_a_lone_task_may_be_given_some_devices_of_its_node():
  some = {"SLURM_STEP_TASKS_PER_NODE": "1(x2)", "JAX_LOCAL_DEVICE_IDS": "0,1"}
  assert cluster.membership(SLURM | some).local_device_ids is None


def test_a_tpu_pod_finds_itself():
  pod = {"TPU_WORKER_HOSTNAMES": "host-0,host-1"}
  assert cluster.membership(pod) == Membership()


def test_alone_nobody_is_waited_for(tmp_path):
  assert cluster.is_first()
  assert cluster.once(lambda: {"a": 1}) == {"a": 1}
  assert cluster.gather([3]) == [[3]]
  cluster.meet()
  with pytest.raises(UserError, match="as it is"), cluster.together(tmp_path):
    raise UserError("as it is")


@pytest.mark.slow
def test_a_peer_that_falls_silent_ends_the_waiting(start_joined):
  """No collective breaks here: only the heartbeat tells, within a minute."""
  waiting, silent = start_joined(
    "silent_peer.py", "models/one", devices=1, processes=2
  )
  silent.communicate(timeout=60)
  died = time.monotonic()
  _, errors = waiting.communicate(timeout=60)
  assert time.monotonic() - died < 60
  assert waiting.returncode != 0
  last = errors.strip().splitlines()[-1]
  assert last.startswith("error: process 0 of 2")
  assert "from the newest checkpoint in models/one" in last


@pytest.mark.slow
def test_an_error_of_process_0_is_told_to_one_that_comes_late(start_joined):
  started = start_joined("late_peer.py", "2", devices=1, processes=2)
  for process in started:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert errors.strip().splitlines()[-1] == "error: the folder is another's"
