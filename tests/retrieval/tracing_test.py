"""The search on the host: ties."""

import jax
import numpy as np
import pytest

from genret.retrieval import tracing
from genret.retrieval.untrained import untrained

pytestmark = pytest.mark.usefixtures("compile_once")
INPUTS = np.array([[37, 629, 19, 1, 0, 0]], np.int32)


def trace(retriever, **numbers):
  settings = {"num_beams": 3, "dropped": 0, "scoring": "raw"} | numbers
  return list(
    tracing.trace(retriever._stepper, INPUTS, retriever.trie, **settings)
  )


@pytest.fixture(scope="module")
def retriever(docid_table):
  return untrained(docid_table)


def test_of_equal_scores_the_earlier_docid_wins(retriever):
  zeros = jax.tree.map(lambda leaf: 0 * leaf, retriever._stepper.params)
  blank = retriever._like(_stepper=retriever._stepper.replace(params=zeros))
  steps = trace(blank, dropped=99)
  assert [step.prefixes.tolist() for step in steps[:2]] == [
    [[2], [3], [4], [5]],
    [[2, 1], [3, 2], [3, 3], [4, 2], [4, 3], [4, 4]],
  ]
  first, second, _ = steps
  np.testing.assert_allclose(first.scores, -np.log(6), rtol=1e-6)
  np.testing.assert_allclose(second.scores, -2 * np.log(6), rtol=1e-6)
