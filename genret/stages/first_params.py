"""What a run of training starts from, where that is not all chance."""

from collections.abc import Callable
from typing import Any

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.embeddings.store import EmbeddingStore
from genret.models import t5
from genret.stages.initial_weights import InitialWeights
from genret.training import dense_start
from genret.training.dense_start import DenseStart


def preparation(
  table: DocidTable,
  embeddings: EmbeddingStore | None,
  *,
  how: DenseStart,
  initial: InitialWeights | None = None,
) -> Callable[[Any], Any]:
  """Returns what turns fresh parameters into those to start from.

  Args:
    table: The docids that are trained.
    embeddings: Of the same documents; None leaves the head as it is.
    how: How the head's columns are made of them.
    initial: Weights to start from; None starts everything else at random.

  Returns:
    A function that consumes the parameters it is given.

  Raises:
    ConfigError: If the docids are not atomic: no column is a document's.
    UserError: If the embeddings are not these documents'.
  """
  start = initial.prepare if initial else lambda params: params
  if embeddings is None:
    return start
  if table.length != 1:
    raise ConfigError(
      f"Embeddings were given to start from, but {table.scheme} docids have"
      f" {table.length} symbols: only an atomic docid has a column of the head"
      " to itself. Leave the embeddings away, or make atomic docids."
    )
  vectors = embeddings.aligned(table.docnos)

  def prepare(params: Any) -> Any:
    params = start(params)
    kernel = dense_start.start(
      t5.head_kernel(params), table.codes[:, 0], vectors, how=how
    )
    return t5.with_head_kernel(params, kernel)

  return prepare
