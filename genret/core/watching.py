"""A progress bar of work that is done elsewhere."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from tqdm import tqdm

_EVERY = 1.0  # seconds


@contextlib.contextmanager
def watched(done: Callable[[], int], bar: tqdm) -> Iterator[None]:
  """Moves a bar to what others have done, looking once a second.

  Args:
    done: counts what is done so far; called in a thread of its own.
    bar: closed in the end, when it has been moved a last time.
  """
  ended = threading.Event()

  def watch() -> None:
    last = False
    while not last:
      last = ended.wait(_EVERY)
      bar.update(done() - bar.n)

  watcher = threading.Thread(target=watch, daemon=True)
  watcher.start()
  try:
    yield
  finally:
    ended.set()
    watcher.join()
    bar.close()
