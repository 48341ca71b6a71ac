import numpy as np

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
