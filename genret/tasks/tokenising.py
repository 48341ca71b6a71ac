"""Blocks of tokenised examples, by several processes where there are many.

Nothing here imports TensorFlow, so that a process starts in half a second.
"""

import collections
import concurrent.futures
import functools
import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool

from genret.core import cores, text
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.tasks.examples import Examples, TaskConfig, Texts

ALONE = 32  # blocks that are done before other processes are worth starting


def blocks(
  config: TaskConfig,
  collection: Collection,
  *,
  input_length: int,
  num_processes: int | None = None,
  vocabulary: str = "t5",
) -> Iterator[Examples]:
  """Tokenises all inputs of a task, block by block.

  Args:
    config: the task.
    collection: what it reads; read here, and tokenised elsewhere.
    input_length: the most ids an input may have, start and end included.
    num_processes: that tokenise; 1 is this one alone, None one a core. They
      are started after the first blocks, so that a small task needs none.
    vocabulary: the name of the one that turns text into ids.

  Yields:
    Examples, in the order of the collection's files. The same for any
    number of processes.

  Raises:
    ConfigError: the processes could not be started.
  """
  if num_processes is None:
    num_processes = cores.available()
  texts = config.texts(collection)
  first = None if num_processes == 1 else ALONE
  encode = functools.partial(
    _encode, config, input_length=input_length, vocabulary=vocabulary
  )
  for block in itertools.islice(texts, first):
    yield encode(block)
  following = next(texts, None)
  if following is not None:
    yield from _in_order(
      encode, itertools.chain([following], texts), num_processes
    )


def _in_order(
  encode: functools.partial, texts: Iterator[Texts], num_processes: int
) -> Iterator[Examples]:
  """Maps blocks in other processes, only a few ahead of what is taken."""
  # Not forked: TensorFlow and JAX have threads by now.
  pool = concurrent.futures.ProcessPoolExecutor(
    num_processes,
    mp_context=multiprocessing.get_context("spawn"),
    initializer=_end_with_parent,
  )
  pending: collections.deque = collections.deque()
  try:
    for block in texts:
      pending.append(pool.submit(encode, block))
      if len(pending) > 2 * num_processes:
        yield pending.popleft().result()
    while pending:
      yield pending.popleft().result()
  except BrokenProcessPool as error:
    raise ConfigError(
      "The processes that tokenise ended early. A script that builds a "
      'mixture must do so under `if __name__ == "__main__":`, as it is '
      "imported by each of them; or memory ran out."
    ) from error
  finally:
    pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
  """Ends this process when the one that started it is killed."""
  parent = multiprocessing.parent_process()

  def wait():
    parent.join()
    os._exit(1)

  threading.Thread(target=wait, daemon=True).start()


def _encode(
  config: TaskConfig, block: Texts, *, input_length: int, vocabulary: str
) -> Examples:
  opened = text.vocabulary(vocabulary)
  return config.encode(block, opened, input_length=input_length)
