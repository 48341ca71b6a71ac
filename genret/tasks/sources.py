"""Tokenised examples as a seqio data source and a seqio task."""

import copy
import functools
from collections.abc import Callable, Mapping
from importlib import resources

import numpy as np

from genret.core import text
from genret.core.docid_table import EOS, PAD, DocidTable
from genret.core.errors import ConfigError
from genret.tasks.examples import Examples, TaskConfig
from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.preprocessors import token_dropout
from genret.tasks.stream import take

SHUFFLE_BUFFER = seqio.SHUFFLE_BUFFER_SIZE  # files are shuffled too
_TOGETHER = 256  # mapped examples that are read at a time


class ExamplesSource(seqio.DataSource):
  """Examples in arrays, read in a new random order in each epoch.

  The order is a permutation that is computed, not drawn: nothing is
  buffered, and an iterator's state is a few numbers.

  Attributes:
    examples: inputs, and the document each stands for.
    table: the docids, row i for document i.
    docids: the hash of the table's content.
    config: the task they belong to.
    vocabulary: the name of the one that inputs are in.
  """

  def __init__(
    self,
    examples: Examples,
    *,
    table: DocidTable,
    docids: str,
    config: TaskConfig,
    vocabulary: str = "t5",
  ):
    self.examples = examples
    self.table = table
    self.docids = docids
    self.config = config
    self.vocabulary = vocabulary
    self._num_epochs: int | None = 1
    super().__init__(
      splits=(config.split,),
      num_input_examples={config.split: examples.num_examples},
      performs_internal_shuffling=True,
    )

  @property
  def supports_arbitrary_sharding(self) -> bool:
    """Any number of hosts can share the examples."""
    return True

  def list_shards(self, split: str) -> list[str]:
    """Names the one shard there is."""
    return [split]

  def repeated(self, num_epochs: int | None) -> "ExamplesSource":
    """Returns this source with so many epochs; None for no end of them."""
    source = copy.copy(self)
    source._num_epochs = num_epochs
    return source

  def get_dataset(
    self,
    split: str = "train",
    shuffle: bool = True,
    seed: int | None = None,
    shard_info: seqio.ShardInfo | None = None,
    **unused,
  ) -> tf.data.Dataset:
    """Yields `inputs` and `targets`, int32 vectors without padding."""
    del unused
    if split not in self.splits:
      raise ConfigError(
        f"Task {self.config.name!r} has the split {self.config.split!r} only; "
        f"{split!r} was asked for."
      )
    places = tf.data.Dataset.range(
      shard_info.index if shard_info else 0,
      self.examples.num_examples,
      shard_info.num_shards if shard_info else 1,
    )
    if shuffle:
      places = self._epochs().flat_map(self._shuffled(places, seed))
    else:
      places = places.repeat(self._num_epochs)
    if self.examples.folder is not None:
      return self._gathered(places)
    return places.map(self._example())

  def _epochs(self) -> tf.data.Dataset:
    if self._num_epochs is None:
      return tf.data.Dataset.counter()
    return tf.data.Dataset.range(self._num_epochs)

  def _shuffled(
    self, places: tf.data.Dataset, seed: int | None
  ) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Makes a function from the number of an epoch to its order."""
    last = self.examples.num_examples - 1
    if seed is None:
      seed = int(np.random.default_rng().integers(1 << 31))

    def epoch(number):
      if not last:  # one place has no permutation to compute
        return places
      key = tf.stack([tf.constant(seed, tf.int64), number])
      return places.map(
        lambda i: tf.random.experimental.index_shuffle(i, key, last)
      )

    return epoch

  def _gathered(self, places: tf.data.Dataset) -> tf.data.Dataset:
    """Reads mapped arrays, some examples at a time, and copies no more."""

    def gather(chosen):
      chunk = take(self.examples, chosen)
      codes = self.table.codes[chunk.documents]  # [C, T]
      used = codes != PAD
      inputs, targets = chunk.tokens.astype(np.int32), codes[used]
      return inputs, chunk.lengths, targets.astype(np.int32), used.sum(axis=1)

    def rows(chosen):
      kinds = [tf.int32, tf.int64, tf.int32, tf.int64]
      found = tf.numpy_function(gather, [chosen], kinds, stateful=False)
      inputs, input_lengths, targets, target_lengths = (
        tf.ensure_shape(array, [None]) for array in found
      )
      return {
        "inputs": _ragged(inputs, input_lengths),
        "targets": _ragged(targets, target_lengths),
      }

    return places.batch(_TOGETHER).map(rows).unbatch()

  def _example(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    tokens = tf.constant(self.examples.tokens)
    offsets = tf.constant(self.examples.offsets)
    documents = tf.constant(self.examples.documents)
    codes = tf.constant(np.ascontiguousarray(self.table.codes))

    def example(i):
      docid = tf.cast(codes[documents[i]], tf.int32)
      return {
        "inputs": tf.cast(tokens[offsets[i] : offsets[i + 1]], tf.int32),
        "targets": tf.boolean_mask(docid, docid != PAD),
      }

    return example


def _ragged(values: tf.Tensor, lengths: tf.Tensor) -> tf.RaggedTensor:
  return tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)


class ExamplesTask(seqio.Task):
  """A seqio task over `ExamplesSource`."""

  def get_dataset(
    self,
    sequence_length: Mapping[str, int] | None = None,
    *,
    num_epochs: int | None = 1,
    use_cached: bool = False,
    **options,
  ) -> tf.data.Dataset:
    """Does as seqio does, but the source itself counts the epochs.

    So each epoch has an order of its own; and nothing is kept in memory, as
    that would put all examples into each saved iterator. With `use_cached`,
    a task that `genret cache` wrote is read by seqio's own means, and one
    that it did not is read from its arrays: the examples are the same.
    """
    if use_cached and self.cache_dir:
      task = self.replace(shuffle_buffer_size=SHUFFLE_BUFFER)
      options = {**options, "num_epochs": num_epochs, "use_cached": True}
      return task.get_dataset(sequence_length, **options)
    task = self.replace(source=self.source.repeated(num_epochs))
    options = {**options, "num_epochs": 1, "try_in_mem_cache": False}
    return task.get_dataset(sequence_length, **options)


def make_task(name: str, source: ExamplesSource) -> ExamplesTask:
  """Wraps a source as a seqio task, without registering it.

  Args:
    name: of the task.
    source: its examples.

  Returns:
    The task. Its features are `inputs` in the source's vocabulary and
    `targets` in the docids' own; both come with the markers they have.
  """
  config = source.config
  num_start = source.examples.num_start
  dropout = [token_dropout(*config.token_dropout, num_start=num_start)]
  cached = seqio.CacheDatasetPlaceholder()
  return ExamplesTask(
    name=name,
    source=source,
    output_features=features(source.table, source.vocabulary),
    preprocessors=[cached, *(dropout if config.token_dropout[1] else [])],
    shuffle_buffer_size=None,
  )


@functools.cache
def text_vocabulary() -> seqio.SentencePieceVocabulary:
  """Returns T5's vocabulary, the ids of `core.text.Tokenizer`."""
  folder = resources.files("genret") / "data" / "t5_vocab"
  return seqio.SentencePieceVocabulary(
    str(folder / "spiece.model"), extra_ids=100
  )


def features(
  table: DocidTable, vocabulary: str = "t5"
) -> dict[str, seqio.Feature]:
  """Describes `inputs` and `targets` of a task.

  Ids of any vocabulary but T5's pass through seqio as they are: it has a
  WordPiece of its own, which needs not agree on every text.

  Args:
    table: the docids.
    vocabulary: the name of the one that inputs are in.
  """
  docids = seqio.PassThroughVocabulary(
    table.vocab_size, eos_id=EOS if table.has_eos else None
  )
  return {
    "inputs": seqio.Feature(_seqio_vocabulary(vocabulary), add_eos=True),
    "targets": seqio.Feature(docids, add_eos=table.has_eos),
  }


def vocabulary_of(task: seqio.Task) -> str | None:
  """Names the vocabulary of a task's inputs, where that is known.

  Args:
    task: any of seqio's.

  Returns:
    Its name in `core.text.VOCABULARIES`, or None.
  """
  if isinstance(task.source, ExamplesSource):
    return task.source.vocabulary
  inputs = task.output_features.get("inputs")
  same = (
    name
    for name in text.VOCABULARIES
    if inputs is not None and inputs.vocabulary == _seqio_vocabulary(name)
  )
  return next(same, None)


def _seqio_vocabulary(name: str) -> seqio.Vocabulary:
  if name == "t5":
    return text_vocabulary()
  ours = text.VOCABULARIES[name]
  return seqio.PassThroughVocabulary(ours.vocab_size, eos_id=ours.end_id)
