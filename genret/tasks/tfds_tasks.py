"""Tasks over a collection's TFDS data sets, all in TensorFlow's graph.

`mixtures.build` tokenises once and keeps the ids. Here text is read and
tokenised as it streams by: nothing is prepared and nothing is held but the
docids, which t5x on many hosts may prefer, each reading its share of shards.
The examples are the same, one by one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.docid_table import PAD, DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.core.text import Tokenizer
from genret.tasks import mixtures, sources
from genret.tasks.examples import TaskConfig
from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.indexing import FirstP
from genret.tasks.preprocessors import token_dropout
from genret.tasks.retrieval import LabelledQueries

# After TensorFlow has been kept off the accelerators.
from genret.corpora.tfds_builder import SeqioSource  # isort: skip
from genret.corpora.tfds_parts import split_name  # isort: skip

TFDS = "tfds"  # the folder that `genret prepare --tfds` fills
_TOGETHER = 512  # texts tokenised at a time
_BLANKS = "".join(rf"\x{{{i:x}}}" for i in range(1 << 16) if chr(i).isspace())
_OUTER_BLANKS = f"^[{_BLANKS}]+|[{_BLANKS}]+$"

Step = Callable[[tf.data.Dataset], tf.data.Dataset]


class SplitSource(SeqioSource):
  """One split of a TFDS data set, under the split's name in a mixture.

  Args:
    out: the folder of the data sets.
    config: "documents" or "judgements".
    split: its name in the mixture.
    stored: its name in the data set.
  """

  def __init__(self, out: Path, config: str, *, split: str, stored: str):
    super().__init__(out, config)
    self._split, self._stored = split, stored

  @property
  def splits(self) -> tuple[str, ...]:
    """The one split."""
    return (self._split,)

  def get_dataset(
    self, split: str = "train", *arguments, **options
  ) -> tf.data.Dataset:
    """Yields the rows of the data set, as `SeqioSource` does."""
    return super().get_dataset(self._named(split), *arguments, **options)

  def num_input_examples(self, split: str) -> int | None:
    """Counts the rows."""
    return super().num_input_examples(self._named(split))

  def list_shards(self, split: str) -> Sequence[str]:
    """Names the files."""
    return super().list_shards(self._named(split))

  def _named(self, split: str) -> str:
    if split != self._split:
      raise ConfigError(
        f"These examples are of the split {self._split!r} only; {split!r} "
        "was asked for."
      )
    return self._stored


def build(
  collection: Collection | Path | str,
  docids: DocidTable | Path | str,
  *,
  tasks: Sequence[TaskConfig],
  input_length: int = 128,
  vocabulary: str = "t5",
  tfds_dir: str | None = None,
) -> seqio.Mixture:
  """Makes a seqio mixture over TFDS, and registers it and its tasks.

  Names are hashes of the content, as those of `mixtures.build` are.

  Args:
    collection: a prepared collection, or its folder.
    docids: its docid table, or the folder of one.
    tasks: `FirstP` and `LabelledQueries`, each with its rate.
    input_length: the most ids an input may have, EOS included.
    vocabulary: "t5"; TensorFlow's graph reads no other.
    tfds_dir: the data sets' folder; None for the one that
      `genret prepare --tfds` fills.

  Returns:
    The mixture, for `seqio.get_dataset` and t5x; `training_batches` reads it
    through seqio's own pipeline.

  Raises:
    ConfigError: tasks do not go together, or one cannot be read from TFDS.
    ArtifactError: there are no such data sets, they are of another
      collection, or the docids are.
  """
  if vocabulary != "t5":
    raise ConfigError(
      f"Texts of TFDS are tokenised with T5's vocabulary, and the model reads "
      f"{vocabulary!r}: use mixtures.build."
    )
  parts = mixtures.checked(
    collection, docids, tasks=tasks, input_length=input_length
  )
  folder = Path(tfds_dir) if tfds_dir else parts.collection.root / TFDS
  _check_same_collection(parts.collection, folder)
  rates = []
  for config in tasks:
    name = parts.name(config, "genret_tfds")
    if name not in seqio.TaskRegistry.names():
      task = _task(name, config, parts, folder=folder)
      seqio.TaskRegistry.add_provider(name, task)
    rates.append((name, _rate(config)))
  return mixtures.registered(rates)


def _rate(config: TaskConfig) -> float:
  config.check(
    config.rate is not None,
    "texts of TFDS are not counted, so that rate must be a number",
  )
  return float(config.rate)


def _task(
  name: str, config: TaskConfig, parts: mixtures.Parts, *, folder: Path
) -> seqio.Task:
  room = parts.input_length - 1
  steps: list[Step] = []
  if type(config) is FirstP:
    source = SplitSource(
      folder, "documents", split=config.split, stored="corpus"
    )
    room = min(room, config.num_tokens)
    text = _contents if config.title else lambda rows: rows["text"]
  elif type(config) is LabelledQueries:
    source = SplitSource(
      folder,
      "judgements",
      split=config.split,
      stored=split_name(config.split),
    )
    steps.append(_relevant(config.relevance))
    text = lambda rows: rows["query"]  # noqa: E731
  else:
    raise ConfigError(
      f"Task {config.name!r} cannot be read from TFDS, as FirstP and "
      f"LabelledQueries can; {type(config).__name__} needs mixtures.build."
    )
  steps += [tokenised(text, parts.table, room=room)]
  steps += [seqio.CacheDatasetPlaceholder()]
  if config.token_dropout[1]:
    steps += [token_dropout(*config.token_dropout)]
  return seqio.Task(
    name=name,
    source=source,
    output_features=sources.features(parts.table),
    preprocessors=steps,
    shuffle_buffer_size=sources.SHUFFLE_BUFFER,
  )


def tokenised(
  text: Callable[[dict], tf.Tensor], table: DocidTable, *, room: int
) -> Step:
  """Makes the step from rows of text to `inputs` and `targets`.

  Args:
    text: takes the texts out of a batch of rows.
    table: the docids; a row's `row` says which is its document's.
    room: the most ids of an input, EOS not counted.

  Returns:
    A seqio preprocessor. Texts without a token are left out.
  """
  vocabulary = sources.text_vocabulary()

  def encode(rows):
    ids = vocabulary.encode_tf(text(rows))[:, :room]
    ends = tf.fill([tf.shape(rows["row"])[0], 1], Tokenizer.eos_id)
    docids = tf.cast(tf.gather(codes(), rows["row"]), tf.int32)
    return {
      "inputs": tf.concat([ids, tf.cast(ends, ids.dtype)], axis=1),
      "targets": tf.ragged.boolean_mask(docids, docids != PAD),
    }

  def codes():
    return tf.constant(np.ascontiguousarray(table.codes))

  def step(dataset):
    batches = dataset.batch(_TOGETHER)
    examples = batches.map(encode, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.unbatch().filter(lambda e: tf.size(e["inputs"]) > 1)

  return step


def _relevant(grade: int) -> Step:
  return lambda dataset: dataset.filter(lambda row: row["grade"] >= grade)


def _contents(rows: dict) -> tf.Tensor:
  """Title and text, stripped as Python's `str.strip` does."""
  both = tf.strings.join([rows["title"], rows["text"]], separator=" ")
  return tf.strings.regex_replace(both, _OUTER_BLANKS, "")


def _check_same_collection(collection: Collection, folder: Path) -> None:
  found = artifacts.load(folder).inputs.get("collection")
  if found != collection.identity:
    raise ArtifactError(
      f"The data sets in {folder} are of another collection than "
      f"{collection.name!r}. Make them anew with genret prepare --tfds."
    )
