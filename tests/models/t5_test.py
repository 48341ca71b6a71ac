"""T5 whole: packing changes nothing, padding is not seen, bf16 is close."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.models.t5 import T5

FIRST, SECOND = [5, 6, 7, 1], [8, 9, 1]
DOCIDS = [[0, 3, 4], [0, 5, 6]]  # decoder inputs: BOS, then two symbols


@functools.partial(jax.jit, static_argnums=0)
def apply(config, params, arguments, options):
  return T5(config).apply({"params": params}, *arguments, **options)


def logits(config, params, *arguments, **options):
  arguments = [jnp.asarray(a, jnp.int32) for a in arguments]
  options = {k: jnp.asarray(v, jnp.int32) for k, v in options.items()}
  out = apply(config, params, arguments, options)
  return np.asarray(out)[..., : config.num_symbols]


def test_packed_examples_score_as_they_do_alone(config, params):
  packed = logits(
    config,
    params,
    [FIRST + SECOND + [0]],
    [DOCIDS[0] + DOCIDS[1]],
    encoder_segment_ids=[[1, 1, 1, 1, 2, 2, 2, 0]],
    decoder_segment_ids=[[1, 1, 1, 2, 2, 2]],
  )
  first = logits(config, params, [FIRST], [DOCIDS[0]])
  second = logits(config, params, [SECOND], [DOCIDS[1]])
  np.testing.assert_allclose(packed[0, :3], first[0], atol=1e-5)
  np.testing.assert_allclose(packed[0, 3:], second[0], atol=1e-5)


def test_padding_is_not_seen(config, params):
  padded = logits(config, params, [SECOND + [0] * 5], [DOCIDS[1]])
  plain = logits(config, params, [SECOND], [DOCIDS[1]])
  np.testing.assert_allclose(padded, plain, atol=1e-5)


def test_later_decoder_inputs_are_not_seen(config, params):
  ours = logits(config, params, [FIRST], [DOCIDS[0]])
  other = logits(config, params, [FIRST], [DOCIDS[0][:2] + [7]])
  np.testing.assert_allclose(ours[:, :2], other[:, :2], atol=1e-6)
  assert np.abs(ours[:, 2] - other[:, 2]).max() > 1e-4


def test_bfloat16_is_close_and_returns_float32(config, params):
  narrow = dataclasses.replace(config, dtype="bfloat16")
  got = logits(narrow, params, [FIRST], [DOCIDS[0]])
  assert got.dtype == np.float32
  expected = logits(config, params, [FIRST], [DOCIDS[0]])
  np.testing.assert_allclose(got, expected, atol=0.2)


def test_segments_of_one_side_only_are_refused(config, params):
  with pytest.raises(ValueError, match="decoder_segment_ids"):
    logits(
      config,
      params,
      [FIRST],
      [DOCIDS[0]],
      encoder_segment_ids=[[1, 1, 1, 1]],
    )
