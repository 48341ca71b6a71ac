"""RQ-VAE docids: residual quantisation of what an encoder makes of vectors."""

import numpy as np

from genret.core.docid_table import DocidTable
from genret.docids import quantize
from genret.docids.corpus import Corpus, check_vectors
from genret.docids.rqvae_config import RqVaeConfig

DEFAULT = RqVaeConfig()


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  config: RqVaeConfig = DEFAULT,
) -> DocidTable:
  """Learns an encoder and its codebooks, and quantises what it makes.

  TIGER (Rajput et al., 2023, arXiv 2305.05065): an MLP maps a vector to a
  short one, which is quantised level by level like a residual; another maps
  the sum of its codes back, and both are trained to give the vector again.
  Gradients pass the quantisation unchanged. The codebooks start as k-means
  of what the encoder makes at first, and codes that fall out of use move to
  documents. A bar counts the steps.

  TIGER's encoder has layers of 512, 256, 128 and 32 and is trained by Adagrad
  for 20,000 epochs; this one is smaller, and Adam trains it in minutes.

  Args:
    collection: whose documents are named.
    embeddings: [N, D], row i is document i.
    seed: of all draws. One seed gives one table on one machine.
    config: the autoencoder and its training.

  Returns:
    Docids of `levels` symbols, each position with symbols of its own, no
    EOS, V = 2 + levels x k. Near documents may share one: TIGER tells them
    apart by one more symbol, the policy "extra".

  Raises:
    ConfigError: no embeddings.
    UserError: not one row of embeddings a document.
  """
  vectors = check_vectors(collection, embeddings, scheme="RQ-VAE")
  from genret.docids import autoencoder

  params = autoencoder.train(vectors, config, seed=seed)
  codes = autoencoder.quantised(params, vectors)
  return quantize.table(collection, codes, k=config.k, scheme="rqvae")
