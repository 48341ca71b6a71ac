"""A real chat server on this machine, that misbehaves as it is told."""

import contextlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer:
  """Answers chat completions, after a script of faults.

  Attributes:
    faults: what happens instead, one a request: a status, "hang", "prose",
      "cut", "talk" or "die", or a body to send; then it answers well.
    requests: the bodies that came, answered or not.
    headers: of each.
    retry_after: sent with a 429.
    honours_n: whether it answers n times.
    most: requests that were under way at once.
    answered: requests that were answered well.
  """

  def __init__(self):
    self.faults = []
    self.requests = []
    self.headers = []
    self.retry_after = None
    self.honours_n = True
    self.most = 0
    self.answered = 0
    self.pause = 0.0
    self._under_way = 0
    self._lock = threading.Lock()
    outer = self

    class Handler(BaseHTTPRequestHandler):
      protocol_version = "HTTP/1.1"

      def do_POST(self):
        size = int(self.headers["Content-Length"])
        outer._handle(self, json.loads(self.rfile.read(size)))

      def log_message(self, *args):
        pass

    self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    self._server.daemon_threads = True
    self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
    self._thread = threading.Thread(target=self._server.serve_forever)
    self._thread.start()

  def close(self):
    """Stops listening."""
    self._server.shutdown()
    self._server.server_close()
    self._thread.join()

  def _handle(self, handler, body):
    with self._lock:
      self.requests.append(body)
      self.headers.append(dict(handler.headers))
      self._under_way += 1
      self.most = max(self.most, self._under_way)
      fault = self.faults.pop(0) if self.faults else None
    try:
      time.sleep(self.pause)
      if handler.path != "/v1/chat/completions":
        fault = 404
      self._answer(handler, body, fault)
    finally:
      with self._lock:
        self._under_way -= 1

  def _answer(self, handler, body, fault):
    if fault == "hang":
      time.sleep(1.0)
      handler.close_connection = True
    elif fault == "die":
      handler.close_connection = True
    elif fault == "cut":
      text = json.dumps(self._completion(body)).encode()
      self._send(handler, 200, text[: len(text) // 2])
    elif fault == "prose":
      self._send(handler, 200, b"<html>Welcome!</html>", kind="text/html")
    elif isinstance(fault, bytes):
      self._send(handler, 200, fault)
    elif isinstance(fault, int):
      self._send(handler, fault, b'{"error": {"message": "not like this"}}')
    else:
      done = self._completion(body, talk=fault == "talk")
      self._send(handler, 200, json.dumps(done).encode())
      with self._lock:
        self.answered += 1

  def _completion(self, body, *, talk=False):
    document = body["messages"][-1]["content"]
    words = re.findall(r"\w+", document)[1:]
    count = body.get("n", 1) if self.honours_n else 1
    texts = [f"What of {words[i % len(words)]} {i}?" for i in range(count)]
    if talk:
      texts = ["Sure! I would love to help you with that."] * count
    return {
      "choices": [
        {"index": i, "message": {"role": "assistant", "content": text}}
        for i, text in enumerate(texts)
      ],
      "usage": {"prompt_tokens": 100, "completion_tokens": 7 * count},
    }

  def _send(self, handler, status, data, *, kind="application/json"):
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    if status == 429 and self.retry_after is not None:
      handler.send_header("Retry-After", self.retry_after)
    handler.end_headers()
    handler.wfile.write(data)


@contextlib.contextmanager
def chat_server():
  server = ChatServer()
  try:
    yield server
  finally:
    server.close()
