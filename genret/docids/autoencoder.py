"""The autoencoder of RQ-VAE docids, in JAX and optax."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from genret.docids import kmeans
from genret.docids.rqvae_config import RqVaeConfig

_BLOCK = 1 << 13  # documents quantised at a time
_SAMPLE = 1 << 14  # documents that scales and codebooks start from
_BAR = 20  # steps between two looks at the loss


class Params(NamedTuple):
  """What is learned, and the scale of the vectors.

  Attributes:
    encoder: weights and biases, layer by layer.
    decoder: the same.
    books: codes of each level.
    centre: mean of the vectors.
    scale: root mean square of their differences from it.
  """

  encoder: list[tuple[Array, Array]]
  decoder: list[tuple[Array, Array]]
  books: Float[Array, "M k d"]
  centre: Float[Array, " D"]
  scale: Float[Array, ""]


class Quantised(NamedTuple):
  """Latent vectors and their codes.

  Attributes:
    codes: numbers of the nearest codes, level by level.
    left: what each level had to quantise.
    taken: the code it took.
  """

  codes: Int[Array, "B M"]
  left: Float[Array, "B M d"]
  taken: Float[Array, "B M d"]


def train(vectors: np.ndarray, config: RqVaeConfig, *, seed: int) -> Params:
  """Trains from scratch.

  Args:
    vectors: [N, D], may be memory-mapped; a batch is read at a time.
    config: the autoencoder and its training.
    seed: of weights, samples and batches.

  Returns:
    The parameters after the last step.
  """
  random = np.random.default_rng(seed)
  params = start(vectors, config, seed=seed)
  state = optax.adam(config.learning_rate).init(params)
  step = _compiled(config.learning_rate, config.commitment)
  used = jnp.zeros(params.books.shape[:2])
  with tqdm(total=config.steps, desc="RQ-VAE", unit="step", delay=2) as bar:
    for number in range(1, config.steps + 1):
      rows = random.integers(len(vectors), size=config.batch_size)
      batch = _read(vectors, rows)
      params, state, found = step(params, state, batch)
      used += found.used
      # Never after the last step: what is moved there stays untrained.
      if number % config.renewed_every == 0 and number < config.steps:
        draws = random.integers(config.batch_size, size=used.shape)
        params = renewed(params, batch, used=used, draws=draws)
        used = jnp.zeros_like(used)
      if number % _BAR == 0:
        bar.set_postfix(loss=f"{float(found.loss):.4f}", refresh=False)
      bar.update()
  return params


def start(vectors: np.ndarray, config: RqVaeConfig, *, seed: int) -> Params:
  """Draws the layers; the codebooks are k-means of what they first make."""
  random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
  rows = np.arange(len(vectors))
  if len(rows) > _SAMPLE:
    rows = np.sort(random.choice(rows, _SAMPLE, replace=False))
  sample = _read(vectors, rows)
  widths = [vectors.shape[1], *config.hidden, config.latent]
  centre = sample.mean(0)
  params = Params(
    encoder=_layers(widths, random),
    decoder=_layers(widths[::-1], random),
    books=jnp.zeros((config.levels, config.k, config.latent)),
    centre=jnp.asarray(centre),
    scale=jnp.maximum(jnp.sqrt(jnp.square(sample - centre).mean()), 1e-12),
  )
  left = np.array(encode(params, sample))
  books = []
  for level in range(config.levels):
    [found] = kmeans.fit(
      left, [np.arange(len(left))], k=config.k, seeds=[seed + level]
    )
    books.append(found.centroids)
    left -= found.centroids[found.labels]
  return params._replace(books=jnp.stack(books))


def quantised(params: Params, vectors: np.ndarray) -> Int[np.ndarray, "N M"]:
  """Quantises documents, a block at a time."""
  codes = []
  for begin in range(0, len(vectors), _BLOCK):
    rows = np.arange(begin, begin + _BLOCK) % len(vectors)
    found = _codes(params, _read(vectors, rows))
    codes.append(np.asarray(found)[: len(vectors) - begin])
  return np.concatenate(codes)


@jax.jit
def encode(params: Params, vectors: Float[Array, "B D"]) -> Float[Array, "B d"]:
  """Makes short vectors of long ones."""
  return _mlp(params.encoder, (vectors - params.centre) / params.scale)


def quantise(
  books: Float[Array, "M k d"], latent: Float[Array, "B d"]
) -> Quantised:
  """Quantises level by level: each takes the code nearest to what is left.

  Codes are looked up by a matrix product, whose gradient, unlike that of
  indexing, is added up in the same order each time.
  """
  codes, lefts, takens = [], [], []
  for book in books:
    products = jnp.matmul(latent, book.T, precision="highest")
    code = (jnp.square(book).sum(-1) - 2 * products).argmin(-1)
    taken = jnp.matmul(
      jax.nn.one_hot(code, len(book)), book, precision="highest"
    )
    codes.append(code)
    lefts.append(latent)
    takens.append(taken)
    latent = latent - jax.lax.stop_gradient(taken)
  return Quantised(
    codes=jnp.stack(codes, 1),
    left=jnp.stack(lefts, 1),
    taken=jnp.stack(takens, 1),
  )


@jax.jit
def renewed(
  params: Params,
  batch: Float[Array, "B D"],
  *,
  used: Float[Array, "M k"],
  draws: Int[Array, "M k"],
) -> Params:
  """Moves the codes that are not used to what some document had left.

  Args:
    params: what is learned.
    batch: documents to move to.
    used: how often each code was taken.
    draws: the document of the batch for each code.
  """
  left = quantise(params.books, encode(params, batch)).left
  moved = jnp.stack([left[draws[m], m] for m in range(len(draws))])
  books = jnp.where((used > 0)[..., None], params.books, moved)
  return params._replace(books=books)


class _Found(NamedTuple):
  loss: Float[Array, ""]
  used: Float[Array, "M k"]


@functools.cache
def _compiled(
  learning_rate: float, commitment: float
) -> Callable[..., tuple[Params, optax.OptState, _Found]]:
  """Returns one step of training; scale and centre stay what they are."""
  optimizer = optax.adam(learning_rate)
  objective = functools.partial(_loss, commitment=commitment)

  @jax.jit
  def step(
    params: Params, state: optax.OptState, batch: Float[Array, "B D"]
  ) -> tuple[Params, optax.OptState, _Found]:
    gradients, found = jax.grad(objective, has_aux=True)(params, batch)
    updates, state = optimizer.update(gradients, state)
    moved = optax.apply_updates(params, updates)
    kept = {"centre": params.centre, "scale": params.scale}
    return moved._replace(**kept), state, found

  return step


def _loss(
  params: Params, batch: Float[Array, "B D"], *, commitment: float
) -> tuple[Array, _Found]:
  """TIGER's loss: reconstruction, codes to residuals, residuals to codes."""
  latent = encode(params, batch)
  found = quantise(params.books, latent)
  fixed = jax.lax.stop_gradient
  whole = found.taken.sum(1)
  straight = latent + fixed(whole - latent)
  again = _mlp(params.decoder, straight)
  target = (batch - params.centre) / params.scale
  error = jnp.square(again - target).sum(-1).mean()
  codes = jnp.square(fixed(found.left) - found.taken).sum((-1, -2)).mean()
  kept = jnp.square(found.left - fixed(found.taken)).sum((-1, -2)).mean()
  used = jax.nn.one_hot(found.codes, params.books.shape[1]).sum(0)
  return error + codes + commitment * kept, _Found(error, used)


def _layers(
  widths: Sequence[int], random: np.random.Generator
) -> list[tuple[Array, Array]]:
  """Draws layers with He's variance."""
  layers = []
  for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
    weights = random.normal(size=(fan_in, fan_out)) * np.sqrt(2 / fan_in)
    layers.append((jnp.asarray(weights, jnp.float32), jnp.zeros(fan_out)))
  return layers


def _mlp(
  layers: Sequence[tuple[Array, Array]], x: Float[Array, "B a"]
) -> Float[Array, "B b"]:
  for weights, bias in layers[:-1]:
    x = jax.nn.relu(x @ weights + bias)
  weights, bias = layers[-1]
  return x @ weights + bias


def _read(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
  return np.asarray(vectors[rows], np.float32)


@jax.jit
def _codes(params: Params, vectors: Float[Array, "B D"]) -> Int[Array, "B M"]:
  return quantise(params.books, encode(params, vectors)).codes
