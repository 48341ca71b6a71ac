import asyncio
import collections
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from genret.core import runs
from genret.core.errors import ConfigError, UserError
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.untrained import untrained
from genret.serving import server
from genret.serving.server import ServeConfig

ROOT = Path(__file__).parents[2]
HEAD = (
  b"POST /search HTTP/1.1\r\nhost: localhost\r\n"
  b"content-type: application/json\r\n"
)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"port": -1}, "port is -1"),
    ({"num_beams": 0}, "num_beams is 0"),
    ({"beams": (5, 0)}, "num_beams is 0"),
    ({"window_seconds": -1.0}, "window_seconds is -1"),
  ],
)
def test_settings_that_cannot_be_right_are_refused(settings, message):
  with pytest.raises(ConfigError, match=message):
    ServeConfig(**settings)


def test_a_token_is_a_first_line(tmp_path):
  path = tmp_path / "token"
  path.write_text("0123456789abcdef\nanything\n")
  assert server.read_token(path) == "0123456789abcdef"
  for wrong in (
    "",
    "\n0123456789abcdef",
    "short",
    "0123456789 abcdef",
    "é" * 20,
  ):
    path.write_text(wrong)
    with pytest.raises(ConfigError, match="16 or more ASCII"):
      server.read_token(path)


def test_a_port_is_taken_before_anything_listens():
  with server.bound("127.0.0.1", 0) as first:
    host, port = first.getsockname()
    with pytest.raises(ConnectionRefusedError):
      socket.create_connection((host, port), timeout=5)
    first.listen()
    with pytest.raises(UserError, match=f"port {port}.*--port=0"):
      server.bound(host, port)


def test_answers_are_sent_at_once():
  async def accepted():
    options = []

    def connected(reader, writer):
      taken = writer.get_extra_info("socket")
      options.append(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
      writer.close()

    with server.bound("127.0.0.1", 0) as listener:
      listening = await asyncio.start_server(connected, sock=listener)
      port = listener.getsockname()[1]
      reader, writer = await asyncio.open_connection("127.0.0.1", port)
      await reader.read()
      writer.close()
      listening.close()
    return options

  [at_once] = asyncio.run(accepted())
  assert at_once


def test_only_what_others_reach_is_warned_of(index):
  with server.bound("127.0.0.1", 0) as listener:
    port = listener.getsockname()[1]
    assert server.greeting(index, listener, locked=False) == (
      f"serving 12 documents (pairs docids) on http://127.0.0.1:{port}/"
      " until Ctrl-C"
    )
  with server.bound("0.0.0.0", 0) as listener:
    warned = server.greeting(index, listener, locked=False)
    assert "ANYONE, without a token" in warned and "--token_file" in warned
    locked = server.greeting(index, listener, locked=True)
    assert "warning" in locked and "ANYONE" not in locked


# A server in a process of its own.


@pytest.fixture(scope="module")
def model_dir(table, tmp_path_factory):
  """The model of the other tests, as a model folder."""
  folder = tmp_path_factory.mktemp("served") / "model"
  save_model(untrained(table), folder)
  return folder


def save_model(retriever, folder):
  import dataclasses

  import jax
  import optax

  from genret.models.t5 import T5
  from genret.training.checkpoints import Checkpoints
  from genret.training.losses import Loss
  from genret.training.partitioning import MeshShape
  from genret.training.step import Program

  retriever.table.save(folder / model_folder.DOCIDS)
  retriever.trie.save(folder / model_folder.TRIE)
  codes = model_folder.codes_hash(folder / model_folder.DOCIDS)
  spec = dataclasses.replace(retriever.spec, docids=codes)
  spec.save(folder)
  state = Program(
    model=T5(spec.model),
    num_symbols=spec.num_symbols,
    optimizer=optax.sgd(0.1),
    loss=Loss(),
    seed=0,
    mesh=MeshShape().build(),
  ).init_state()
  checkpoints = Checkpoints(
    folder / model_folder.CHECKPOINTS, measure=spec.dev_measure
  )
  state = state.replace(step=state.step + np.int32(1))
  checkpoints.save(
    jax.block_until_ready(state), position={}, metrics={spec.dev_measure: 1.0}
  )
  checkpoints.close()


class Server:
  """`genret serve` in a process of its own."""

  def __init__(self, model_dir, collection, *flags):
    self.process = subprocess.Popen(
      [
        sys.executable,
        "-m",
        "genret.cli.main",
        "serve",
        f"--model_dir={model_dir}",
        f"--collection={collection}",
        "--port=0",
        *flags,
      ],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    self.said = []
    while not (found := re.search(r"http://(.+):(\d+)/", "".join(self.said))):
      line = self.process.stdout.readline()
      assert line, self.process.stderr.read()
      self.said.append(line)
    self.host, self.port = found[1], int(found[2])
    self.url = f"http://{self.host}:{self.port}"

  def post(self, path, body, timeout=60):
    request = urllib.request.Request(
      self.url + path,
      data=json.dumps(body).encode(),
      headers={"content-type": "application/json"},
    )
    try:
      with urllib.request.urlopen(request, timeout=timeout) as found:
        return found.status, json.load(found)
    except urllib.error.HTTPError as error:
      with error:
        return error.code, json.load(error)

  def get(self, path):
    with urllib.request.urlopen(self.url + path, timeout=60) as found:
      return found.read().decode()

  def metric(self, name):
    lines = self.get("/metrics").splitlines()
    values = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return float(values[0])

  def connect(self):
    return socket.create_connection((self.host, self.port), timeout=60)

  def stop(self, number=signal.SIGTERM, timeout=60):
    """Stops it; returns its exit code and what it wrote."""
    if self.process.poll() is None:
      self.process.send_signal(number)
    out, error = self.process.communicate(timeout=timeout)
    return self.process.returncode, "".join(self.said) + out, error


@pytest.fixture(scope="module")
def served(model_dir, tales):
  short = ("--gin.Limits.header_seconds=1.0", "--gin.Limits.body_seconds=1.0")
  server = Server(
    model_dir,
    tales.root,
    "--num_beams=4",
    *short,
    "--gin.Limits.connections=40",
  )
  yield server
  code, said, error = server.stop()
  assert code == 0 and error == ""
  assert re.search(r"stopped: \d+ requests answered", said)


@pytest.mark.slow
def test_three_ways_to_search_find_the_same(served, model_dir, tales, tmp_path):
  from genret.stages import retrieve

  config = retrieve.RetrieveConfig(split="test", k=5, num_beams=4)
  run = tmp_path / "run.trec"
  retrieve.run(config, model_dir, tales, out=run)
  [(_, of_run)] = runs.read_trec(run).items()
  [query] = tales.queries("test")
  of_python = Retriever.load(model_dir).search(query.text, k=5, num_beams=4)
  status, found = served.post("/search", {"query": query.text, "k": 5})
  assert status == 200
  of_http = found["results"][0]["hits"]
  assert [hit["docno"] for hit in of_http] == [hit.docno for hit in of_python]
  assert [hit["score"] for hit in of_http] == [hit.score for hit in of_python]
  assert [hit.docno for hit in of_run] == [hit.docno for hit in of_python]
  # A run file has as many digits as a float32 needs.
  assert [np.float32(hit.score) for hit in of_run] == [
    np.float32(hit.score) for hit in of_python
  ]


@pytest.mark.slow
def test_nothing_compiles_while_it_serves(served):
  for words in range(1, 40, 3):
    for count in (1, 5, 30):
      body = {"queries": ["river " * words] * count}
      assert served.post("/search", body)[0] == 200
    body = {"query": "river " * words, "dropped": words}
    assert served.post("/explain", body)[0] == 200
  assert served.metric("genret_compilations_total") == 0


@pytest.mark.slow
def test_schemathesis_finds_nothing(served, tmp_path):
  command = shutil.which("st", path=Path(sys.executable).parent)
  if command is None:
    pytest.skip("schemathesis is no part of genret[test]")
  address = f"{served.url}/openapi.json"
  found = subprocess.run(
    [command, "run", address, "--checks=all", "--max-examples=60", "--seed=7"],
    capture_output=True,
    text=True,
    cwd=tmp_path,
  )
  assert found.returncode == 0, found.stdout[-9000:]
  tested = re.search(r"(\d+) generated", found.stdout)
  assert int(tested[1]) > 100


@pytest.mark.slow
def test_a_slow_client_is_told_and_holds_nobody_up(served):
  with served.connect() as slow, served.connect() as silent:
    slow.sendall(HEAD + b"content-length: 99\r\n\r\n{")
    silent.sendall(b"POST /sea")
    for _ in range(3):
      status, found = served.post("/search", {"query": "a river"})
      assert status == 200 and found["milliseconds"] < 1000
    answer = slow.recv(9999)
    assert (
      answer.startswith(b"HTTP/1.1 408 ") and b"connection: close" in answer
    )
    assert silent.recv(9999) == b""  # closed


@pytest.mark.slow
def test_it_answers_to_no_name_of_another_site(served):
  with served.connect() as client:
    client.sendall(b"GET /health HTTP/1.1\r\nhost: evil.example\r\n\r\n")
    answer = client.recv(9999)
  assert answer.startswith(b"HTTP/1.1 421 ")


@pytest.mark.slow
def test_a_head_without_end_is_cut_off(served):
  with served.connect() as client:
    client.sendall(b"GET / HTTP/1.1\r\n")
    with pytest.raises(OSError):
      for _ in range(200):
        client.sendall(b"x: " + b"y" * 9000 + b"\r\n")
        time.sleep(0.001)


@pytest.mark.slow
def test_clients_that_hang_up_hold_nobody_up(served):
  for _ in range(20):
    with served.connect() as client:
      body = json.dumps({"queries": ["a river"] * 64}).encode()
      client.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
  until = time.monotonic() + 5
  status = 429  # until it has noticed that nobody waits
  while status == 429 and time.monotonic() < until:
    status, _ = served.post("/search", {"query": "a river"})
  assert status == 200
  assert served.metric("genret_waiting_queries") == 0


@pytest.mark.slow
def test_one_connection_too_many_is_told(served):
  clients = [served.connect() for _ in range(39)]
  try:
    time.sleep(0.2)
    with served.connect() as last, served.connect() as refused:
      answer = refused.recv(9999)
      assert answer.startswith(b"HTTP/1.1 503 ")
      assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
      last.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
      assert last.recv(9999).startswith(b"HTTP/1.1 200 ")
  finally:
    for client in clients:
      client.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_no_accepted_request(
  model_dir, tales, number
):
  server = Server(model_dir, tales.root, "--num_beams=4")
  outcomes = collections.Counter()
  stopped = threading.Event()

  def ask():
    while not stopped.is_set():
      try:
        status, _ = server.post("/search", {"queries": ["a river"] * 8})
        outcomes[status] += 1
      except (ConnectionError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        outcomes[type(reason).__name__] += 1
        return

  clients = [threading.Thread(target=ask) for _ in range(16)]
  for client in clients:
    client.start()
  time.sleep(1)
  started = time.monotonic()
  code, said, error = server.stop(number)
  seconds = time.monotonic() - started
  stopped.set()
  for client in clients:
    client.join()
  assert code == 0 and error == "" and seconds < 30
  answered = int(re.search(r"stopped: ([\d,]+)", said)[1].replace(",", ""))
  # Whatever it counted as answered has reached its client.
  assert outcomes[200] + outcomes[429] == answered > 0
  # What came after the signal was told so, or found the port closed.
  statuses = {status for status in outcomes if isinstance(status, int)}
  assert statuses <= {200, 429, 503}


@pytest.mark.slow
def test_what_waits_at_a_signal_is_answered(model_dir, tales):
  server = Server(model_dir, tales.root, "--num_beams=4")
  body = json.dumps({"queries": ["a river"] * 64}).encode()
  request = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
  clients = [server.connect() for _ in range(3)]
  for client in clients:
    client.sendall(request)
  time.sleep(0.05)
  code, _, error = server.stop()
  for client in clients:
    answer = b""
    while part := client.recv(99_999):
      answer += part
    client.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
  assert code == 0 and error == ""
