"""Examples as records of tf.train.Example, many at a time."""

import numpy as np

from genret.core.docid_table import EOS, PAD
from genret.tasks.host_tensorflow import tf
from genret.tasks.stream import Chunk


def records(chunk: Chunk, codes: np.ndarray) -> list[bytes]:
  """Serialises examples the way seqio reads them from a cache.

  Every message of the batch is written by one call of TensorFlow's protobuf
  code a level: numbers, feature, entry, features, example.

  >>> chunk = Chunk(
  ...   tokens=np.array([7, 8, 1]), lengths=np.array([3]),
  ...   documents=np.array([1]),
  ... )
  >>> [record] = records(chunk, np.array([[2, 0], [3, 4]]))
  >>> example = tf.train.Example.FromString(record)
  >>> list(example.features.feature["inputs"].int64_list.value)
  [7, 8, 1]
  >>> list(example.features.feature["targets"].int64_list.value)
  [3, 4]

  Args:
    chunk: C examples.
    codes: the docids of all documents, [N, T].

  Returns:
    C records.
  """
  count = len(chunk.lengths)
  docids = codes[chunk.documents].astype(np.int64)  # [C, T]
  entries = tf.stack(
    [
      _entry("inputs", _padded(chunk), chunk.lengths),
      _entry("targets", docids, (docids != PAD).sum(axis=1)),
    ],
    axis=1,
  )  # [C, 2]
  features = _message("Features", {"feature": entries}, _sizes(count, 2))
  wrapped = {"features": features[:, None]}
  return _message("Example", wrapped, _sizes(count, 1)).numpy().tolist()


def num_symbols(codes: np.ndarray) -> np.ndarray:
  """Counts the symbols of docids, neither EOS nor pads.

  >>> num_symbols(np.array([[5, 6, 1], [7, 1, 0]])).tolist()
  [2, 1]
  """
  return ((codes != PAD) & (codes != EOS)).sum(axis=1)


def _padded(chunk: Chunk) -> np.ndarray:
  """Lays inputs out one a row; int64 [C, L]."""
  longest = int(chunk.lengths.max(initial=0))
  out = np.zeros((len(chunk.lengths), longest), np.int64)
  out[np.arange(longest) < chunk.lengths[:, None]] = chunk.tokens
  return out


def _entry(name: str, rows: np.ndarray, lengths: np.ndarray) -> tf.Tensor:
  """Serialises one feature of each example: its name and its numbers.

  Args:
    name: of the feature.
    rows: int64 [C, L], padded at the end.
    lengths: how much of each row counts.

  Returns:
    Strings [C].
  """
  count = len(rows)
  sizes = np.asarray(lengths, np.int32)[:, None]
  numbers = _message("Int64List", {"value": rows}, sizes)
  values = {"int64_list": numbers[:, None]}
  feature = _message("Feature", values, _sizes(count, 1))
  entry = {"key": tf.fill([count, 1], name), "value": feature[:, None]}
  return _message("Features.FeatureEntry", entry, _sizes(count, 1, fields=2))


def _message(kind: str, fields: dict, sizes: np.ndarray) -> tf.Tensor:
  return tf.io.encode_proto(
    sizes=sizes,
    values=list(fields.values()),
    field_names=list(fields),
    message_type=f"tensorflow.{kind}",
  )


def _sizes(count: int, size: int, *, fields: int = 1) -> np.ndarray:
  """How many values each field of each message has, int32 [C, fields]."""
  return np.full((count, fields), size, np.int32)
