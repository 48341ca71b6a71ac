import numpy as np
import pytest

from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.preprocessors import token_dropout


def rows(seed, *, share):
  inputs = tf.data.Dataset.range(300).map(
    lambda i: {"inputs": tf.concat([tf.range(2, 22), [1]], 0), "targets": [i]}
  )
  with seqio.utils.map_seed_manager(seed):
    dropped = token_dropout(share, share)(inputs)
  return [row["inputs"].tolist() for row in dropped.as_numpy_iterator()]


def test_dropout_leaves_out_the_share_it_says():
  found = rows(0, share=0.4)
  assert abs(np.mean([len(row) - 1 for row in found]) / 20 - 0.6) < 0.03
  assert all(row[-1] == 1 and len(row) > 1 for row in found)
  assert all(row[:-1] == sorted(set(row[:-1])) for row in found)
  assert rows(0, share=0.4) == found
  assert rows(1, share=0.4) != found


def test_dropout_leaves_no_input_empty():
  assert all(len(row) > 1 for row in rows(0, share=0.97))


@pytest.mark.parametrize("share", [0.4, 0.97])
def test_dropout_leaves_start_ids_where_they_are(share):
  inputs = tf.data.Dataset.range(300).map(
    lambda i: {"inputs": [101, 7, 8, 9, 102], "targets": [i]}
  )
  with seqio.utils.map_seed_manager(0):
    dropped = token_dropout(share, share, num_start=1)(inputs)
  found = {tuple(row["inputs"]) for row in dropped.as_numpy_iterator()}
  assert {row[0] for row in found} == {101}
  assert {row[-1] for row in found} == {102}
  assert min(map(len, found)) == 3 and (101, 7, 8, 9, 102) in found
