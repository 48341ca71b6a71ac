"""The mixture that a run of training reads."""

from typing import Any

from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.tasks import mixtures
from genret.tasks.host_tensorflow import seqio
from genret.training import cluster


def mixture(
  given: Any, collection: Collection, table: DocidTable, *, vocabulary: str
) -> seqio.Mixture | str:
  """Builds what is given as a function, and checks what its inputs are in.

  T5's vocabulary is not passed on: functions of one's own need not know of
  any, and it is what `mixtures.build` takes if nothing is said.

  Args:
    given: A mixture of seqio or its name, or a function from a collection
      and a docid table, and a `vocabulary` where that is not T5's.
    collection: What is indexed.
    table: Its docids.
    vocabulary: Of the model.

  Returns:
    The mixture, or its name.

  Raises:
    ConfigError: If its inputs are in another vocabulary.
  """
  if callable(given):
    other = {} if vocabulary == "t5" else {"vocabulary": vocabulary}
    given = given(collection, table, **other)
  mixtures.check_vocabulary(given, vocabulary)
  return given


def describe(mixture: seqio.Mixture | str) -> None:
  """Prints what is trained on, once."""
  if not cluster.is_first():
    return
  if isinstance(mixture, str):
    print(f"training on {mixture}, read through seqio's own pipeline")
  else:
    print(mixtures.describe(mixture))
