import numpy as np
import pytest

from genret.tasks import serialised
from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.stream import Chunk


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_records_are_those_of_seqio(dtype):
  rng = np.random.default_rng(0)
  lengths = rng.integers(1, 40, 300)
  codes = rng.integers(1, 60_000, (50, 6)).astype(dtype)
  codes[::3, 4:] = 0
  chunk = Chunk(
    tokens=rng.integers(0, 32_100, lengths.sum()).astype(np.uint16),
    lengths=lengths,
    documents=rng.integers(0, 50, 300).astype(np.int32),
  )
  found = serialised.records(chunk, codes)
  assert len(found) == 300
  ends = np.cumsum(lengths)
  for i, record in enumerate(found):
    docid = codes[chunk.documents[i]]
    expected = seqio.utils.dict_to_tfexample(
      {
        "inputs": chunk.tokens[ends[i] - lengths[i] : ends[i]].astype(np.int32),
        "targets": docid[docid != 0].astype(np.int32),
      }
    )
    assert tf.train.Example.FromString(record) == expected


def test_symbols_are_counted_as_seqio_does():
  codes = np.array([[2, 3, 1, 0], [4, 5, 6, 1], [7, 8, 9, 10]])
  assert serialised.num_symbols(codes).tolist() == [2, 3, 4]
