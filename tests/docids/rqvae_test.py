import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.docids import quality, rqvae
from genret.docids.corpus import Listed
from genret.docids.rqvae_config import RqVaeConfig

COUNT, TOPICS = 96, 6
SMALL = RqVaeConfig(
  levels=2,
  k=8,
  hidden=(16,),
  latent=4,
  steps=60,
  batch_size=32,
  learning_rate=0.01,
  renewed_every=20,
)


@pytest.fixture(scope="module")
def vectors():
  random = np.random.default_rng(0)
  centres = 3 * random.normal(size=(TOPICS, 12))
  topics = np.arange(COUNT) % TOPICS
  drawn = centres[topics] + random.normal(size=(COUNT, 12))
  return drawn.astype(np.float32)


@pytest.fixture(scope="module")
def made(vectors):
  corpus = Listed.named(map(str, range(COUNT)))
  return rqvae.fit(corpus, embeddings=vectors, seed=1, config=SMALL)


def test_docids_have_a_level_a_codebook(made):
  assert made.codes.shape == (COUNT, 2)
  assert made.level_starts == (2, 10)
  assert made.vocab_size == 18
  assert made.scheme == "rqvae"


def test_neighbours_share_their_first_symbols(made, vectors):
  found = quality.describe(made, vectors)
  assert found.similarity[1] > found.similarity[0] + 0.3
  assert found.levels[0].symbols >= TOPICS


def test_one_seed_gives_one_table(made, vectors):
  corpus = Listed.named(map(str, range(COUNT)))
  again = rqvae.fit(corpus, embeddings=vectors, seed=1, config=SMALL)
  np.testing.assert_array_equal(made.codes, again.codes)
  other = rqvae.fit(corpus, embeddings=vectors, seed=2, config=SMALL)
  assert (made.codes != other.codes).any()


def test_vectors_are_needed():
  with pytest.raises(ConfigError, match="RQ-VAE docids need embeddings"):
    rqvae.fit(Listed.named("a"))
