"""Steps of the seqio pipeline between a source and its features."""

from collections.abc import Callable

from genret.tasks.host_tensorflow import seqio, tf


def token_dropout(
  least: float, most: float, *, num_start: int = 0
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """Makes a step that leaves out random input tokens, but no marker.

  The same as `stream.drop_tokens`, by seqio's own seeds: a function of the
  seed of the pipeline and the place of the example in it.

  >>> inputs = tf.data.Dataset.from_tensors({"inputs": tf.range(9, 0, -1)})
  >>> with seqio.utils.map_seed_manager(0):
  ...   [row] = token_dropout(0.5, 0.5)(inputs)
  >>> row["inputs"].numpy().tolist()
  [9, 7, 6, 2, 1]

  Args:
    least: the least expected share that is left out.
    most: the most; each example draws its own share.
    num_start: how many start ids an input begins with.

  Returns:
    A seqio preprocessor. An input that would be left with start and end
    only stays whole.
  """

  @seqio.map_over_dataset(num_seeds=2)
  def drop(example, seeds):
    ids = example["inputs"]
    share = tf.random.stateless_uniform([], seeds[0], least, most)
    draws = tf.random.stateless_uniform(tf.shape(ids), seeds[1])
    inner = draws[num_start:-1] >= share
    kept = tf.concat([[True] * num_start, inner, [True]], axis=0)
    bare = tf.logical_not(tf.reduce_any(inner))
    return {**example, "inputs": tf.boolean_mask(ids, kept | bare)}

  return drop
