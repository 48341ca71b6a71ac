"""A sentence encoder in T5: packing, freezing, searching, all ways of running.

That its layers are BERT's is tested in embeddings/.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.models import encoders, layers
from genret.models.fused import fuse
from genret.models.query_flops import query_flops
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5

INPUTS = np.array([[5, 6, 7, 1], [8, 9, 1, 0]])
PACKED = np.array([[5, 6, 7, 1, 8, 9, 1, 0]])
SEGMENTS = np.array([[1, 1, 1, 1, 2, 2, 2, 0]])
POSITIONS = np.array([[0, 1, 2, 3, 0, 1, 2, 0]])
DOCIDS = np.array([[0, 3, 4], [0, 5, 6]])


def apply(config, params, *inputs, **options):
  variables = {"params": params}
  return jax.jit(T5(config).apply)(variables, *inputs, **options)


@pytest.fixture(scope="module")
def logits(encoded_config, encoded_params):
  return apply(encoded_config, encoded_params, INPUTS, DOCIDS)


def with_encoder(config, **changes):
  encoder = dataclasses.replace(config.encoder, **changes)
  return dataclasses.replace(config, encoder=encoder, emb_dim=encoder.width)


def test_packed_examples_score_as_they_do_alone(
  encoded_config, encoded_params, logits
):
  found = apply(
    encoded_config,
    encoded_params,
    PACKED,
    DOCIDS.reshape(1, -1),
    encoder_segment_ids=SEGMENTS,
    decoder_segment_ids=np.array([[1, 1, 1, 2, 2, 2]]),
    encoder_positions=POSITIONS,
  )
  np.testing.assert_allclose(found.reshape(logits.shape), logits, atol=1e-5)


def test_the_lexical_vectors_follow_the_states(encoded_config, encoded_params):
  found = encoders.encode(encoded_params, encoded_config, INPUTS)
  table = encoded_params["encoder"]["lexical"]["embedding"]
  np.testing.assert_array_equal(found[..., 12:], table[INPUTS])
  states_alone = with_encoder(encoded_config, lexical_dim=0)
  alone = encoders.encode(encoded_params, states_alone, INPUTS)
  np.testing.assert_array_equal(found[..., :12], alone)


@pytest.mark.parametrize("frozen_below", [0, 1, 2])
def test_states_given_are_states_computed(
  frozen_below, encoded_config, encoded_params, logits
):
  """With gradients, but for those of the frozen part, which are none."""
  config = with_encoder(encoded_config, frozen_below=frozen_below)

  def loss(params, states):
    found = T5(config).apply(
      {"params": params}, INPUTS, DOCIDS, encoder_states=states
    )[..., :9]
    return jnp.square(found).sum(), found

  gradient = jax.jit(jax.grad(loss, has_aux=True))
  states = encoders.frozen_states(encoded_params, config, INPUTS)
  assert states.shape == (2, 4, 12)
  given, found = gradient(encoded_params, states)
  computed, _ = gradient(encoded_params, None)
  np.testing.assert_allclose(found, logits[..., :9], atol=1e-5)
  for path, leaf in jax.tree_util.tree_leaves_with_path(given):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    if config.encoder.freezes(name):
      assert not np.any(leaf), name
  assert np.any(given["encoder"]["lexical"]["embedding"])
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    given,
    computed,
  )


def test_states_of_another_precision_are_read(encoded_config, encoded_params):
  states = encoders.frozen_states(encoded_params, encoded_config, INPUTS)
  found = encoders.encode(
    encoded_params, encoded_config, INPUTS, states=states.astype(jnp.float16)
  )
  expected = encoders.encode(encoded_params, encoded_config, INPUTS)
  assert found.dtype == jnp.float32
  np.testing.assert_allclose(found, expected, atol=5e-3)


def test_frozen_layers_drop_nothing(encoded_config, encoded_params):
  """So that states are the same in every step."""
  drop = layers.Dropout(0.5, jax.random.key(0))
  states = encoders.frozen_states(encoded_params, encoded_config, INPUTS)
  computed, given = (
    encoders.encode(
      encoded_params, encoded_config, INPUTS, states=states, drop=drop
    )
    for states in (None, states)
  )
  np.testing.assert_array_equal(computed, given)
  quiet = encoders.encode(encoded_params, encoded_config, INPUTS)
  assert np.abs(computed - quiet).max() > 0.1


def test_steps_of_a_search_equal_one_pass(
  encoded_config, encoded_params, logits
):
  stepper = T5Stepper.create(encoded_params, encoded_config)
  cache = stepper.start(stepper.encode(jnp.asarray(INPUTS)))
  hidden, _ = stepper.step(cache, None, jnp.asarray(DOCIDS)[:, None], 0)
  found = stepper.logits(hidden[:, 0], 0)
  np.testing.assert_allclose(found[..., :9], logits[..., :9], atol=1e-5)


def test_a_fused_tree_has_fewer_products(encoded_params):
  layer = fuse(encoded_params)["encoder"]["bert"]["layers_0"]
  assert layer["attention"].keys() == {"query+key+value", "out"}
  joined = layer["attention"]["query+key+value"]
  assert joined["kernel"].shape == (12, 36)
  assert joined["bias"].shape == (36,)
  assert layer["mlp"].keys() == {"wi", "wo"}


@pytest.mark.parametrize(
  "how",
  [{"scan_layers": True}, {"remat": "full"}],
  ids=["scanned", "rematerialised"],
)
def test_layers_may_be_scanned_and_made_again(
  how, encoded_config, encoded_params, logits
):
  config = with_encoder(encoded_config, frozen_below=None)
  config = dataclasses.replace(config, **how)
  found = apply(config, encoded_params, INPUTS, DOCIDS)
  np.testing.assert_allclose(found, logits, atol=1e-5)


def test_docids_of_text_have_an_embedding_of_their_own(encoded_config):
  config = dataclasses.replace(encoded_config, docid_vocab_size=None)
  tokens = np.ones((1, 4), np.int32)
  tree = jax.eval_shape(T5(config).init, jax.random.key(0), tokens, tokens)
  assert tree["params"]["token_embedder"]["embedding"].shape == (40, 16)
  assert tree["params"]["decoder"]["logits_dense"]["kernel"].shape == (16, 128)


def test_operations_of_a_query_are_counted(encoded_config):
  length, wide, hidden = 6, 12, 20
  layer = length * (4 * wide**2 + 2 * wide * hidden) + 2 * length**2 * wide
  found = query_flops(encoded_config, input_length=length, num_beams=2)
  assert found["encoder"] == 2 * 2 * layer


def test_packed_rows_without_positions_are_refused(
  encoded_config, encoded_params
):
  with pytest.raises(ValueError, match="encoder_positions"):
    encoders.encode(
      encoded_params, encoded_config, PACKED, segment_ids=SEGMENTS
    )


def test_states_need_a_frozen_part(encoded_config, encoded_params, config):
  trained = with_encoder(encoded_config, frozen_below=None)
  states = np.zeros((2, 4, 12), np.float32)
  for one in (trained, config):
    with pytest.raises(ConfigError, match="frozen_below"):
      encoders.encode(encoded_params, one, INPUTS, states=states)
    with pytest.raises(ConfigError, match="frozen_below"):
      encoders.frozen_states(encoded_params, one, INPUTS)
