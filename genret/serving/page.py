"""The page: a few files that are sent as they are."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from genret.serving.faults import Fault

FOLDER = Path(__file__).parents[1] / "data" / "serving"
START = "index.html"
# What a system thinks of these names differs from one to the next, and browsers
# run no script that is said to be something else.
KINDS = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
}


class Page:
  """Sends the files that a folder has when this is made, and no others.

  Args:
    folder: The files, of `KINDS`, without sub-folders.
  """

  def __init__(self, folder: Path = FOLDER):
    self._files: Mapping[str, Path] = {
      path.name: path for path in folder.iterdir() if path.suffix in KINDS
    }

  async def __call__(self, request: Request) -> Response:
    """Sends the file that the address names, or the one to start with.

    Raises:
      Fault: 404, if there is none.
    """
    name = request.path_params.get("name", START)
    if name not in self._files:
      raise Fault(404, f"no file {name[:80]!r}")
    content = await run_in_threadpool(self._files[name].read_bytes)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"cache-control": "no-cache", "etag": etag}
    if request.headers.get("if-none-match") == etag:
      return Response(status_code=304, headers=headers)
    kind = KINDS[self._files[name].suffix]
    return Response(content, media_type=kind, headers=headers)
