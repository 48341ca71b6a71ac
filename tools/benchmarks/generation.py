"""Queries a second for documents: genret's sampling against `transformers`.

The same T5-small with random weights, which `transformers` reads from what
genret exports; the same passages of the embedded collection; 40 queries of
each, drawn from the ten likeliest symbols. Random weights do not know when a
query ends, so both sides write as many symbols: 16, about the length of a
question of that collection. `transformers` gets its documents padded to the
longest of a batch, at the batch size that serves it best.

Then the first symbols that genret draws are compared with the distribution
that the model itself has, by chi-square.

  python tools/benchmarks/generation.py --quick
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import reporting
from scipy import stats

from genret.core.text import Tokenizer
from genret.corpora import embedded
from genret.interop import huggingface
from genret.interop.leaves import Leaf
from genret.models.stepper import T5Stepper
from genret.models.t5 import SIZES, T5, T5Config
from genret.querygen import sampling

NUM_QUERIES = 40
TOP_K = 10
NEW_SYMBOLS = 16
LONGEST = 384
BATCH = 8  # documents at a time, ours
SHAPE = "small"
DRAWS = 4_000  # of a first symbol
FIXED = dataclasses.replace(sampling.TEXT, end=None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """How much is measured.

  Attributes:
    documents: A multiple of BATCH.
    repeats: Rounds in which both sides take turns.
    peer_batches: Documents at a time, theirs.
    compared: Documents whose first symbols are tested.
  """

  documents: int
  repeats: int
  peer_batches: Sequence[int]
  compared: int


QUICK = Settings(documents=8, repeats=3, peer_batches=(1, 8), compared=2)
FULL = Settings(documents=32, repeats=5, peer_batches=(1, 4, 8), compared=8)


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--quick", action="store_true", help="under five minutes")
  how.add_argument("--full", action="store_true", help="more documents")
  settings = FULL if parser.parse_args().full else QUICK
  config = dataclasses.replace(SIZES[SHAPE], dropout_rate=0.0)
  params = _weights(config)
  documents = _documents(settings.documents)
  checks = [_first_symbols(params, config, documents[: settings.compared])]
  checks += _rates(params, config, documents, settings=settings)
  reporting.finish(
    checks, packages=("jax", "flax", "torch", "transformers", "scipy")
  )


def _weights(config: T5Config) -> dict:
  """Draws weights in the shape of a T5, of about the size of fresh ones."""
  rng = np.random.default_rng(0)
  ids = jnp.ones((1, 2), jnp.int32)
  shapes = jax.eval_shape(T5(config).init, jax.random.key(0), ids, ids)

  def draw(leaf) -> np.ndarray:
    if len(leaf.shape) == 1:  # of a norm
      return np.ones(leaf.shape, np.float32)
    drawn = rng.standard_normal(leaf.shape, np.float32)
    return drawn / np.float32(np.sqrt(leaf.shape[0]))

  return jax.tree.map(draw, dict(shapes["params"]))


def _documents(count: int) -> list[list[int]]:
  """Tokenises passages spread over the collection."""
  texts = [document.contents for document in embedded.squad().documents()]
  chosen = texts[:: len(texts) // count][:count]
  return Tokenizer().encode(chosen, max_length=LONGEST)


def _padded(documents: Sequence[Sequence[int]], length: int) -> np.ndarray:
  return Tokenizer().pad(documents, length)


def _rates(
  params: dict,
  config: T5Config,
  documents: Sequence[Sequence[int]],
  *,
  settings: Settings,
) -> list[reporting.Check]:
  """Measures both sides, taking turns."""
  calls = {"genret": _ours(params, config, documents)}
  missing = []
  try:
    model = _theirs(params, config)
  except ImportError as error:
    missing = [reporting.missing("transformers", reason=str(error))]
  else:
    for size in settings.peer_batches:
      name = f"transformers, {size} at a time"
      calls[name] = _their_generation(model, documents, size)
  taken = reporting.medians(calls, repeats=settings.repeats)
  num_queries = NUM_QUERIES * len(documents)
  rates = {name: num_queries / seconds for name, seconds in taken.items()}
  checks = [
    reporting.Check(name=name, figure=rate, unit="queries/s")
    for name, rate in rates.items()
  ]
  ours = rates.pop("genret")
  if not rates:
    return [*checks, *missing]
  best = max(rates, key=rates.get)
  return [
    *checks,
    reporting.at_least(f"genret / {best}", ours / rates[best], 3, unit="times"),
  ]


def _ours(
  params: dict, config: T5Config, documents: Sequence[Sequence[int]]
) -> Callable[[], object]:
  decoder = sampling.text_decoder(params, config, length=NEW_SYMBOLS)
  ordered = sorted(documents, key=len)
  batches = [
    _padded(group, sampling.fitting_length(max(map(len, group)), LONGEST))
    for first in range(0, len(ordered), BATCH)
    for group in [ordered[first : first + BATCH]]
  ]

  def generate() -> list[np.ndarray]:
    return [_sampled(decoder, batch) for batch in batches]

  return generate


def _sampled(decoder: T5Stepper, inputs: np.ndarray) -> np.ndarray:
  samples = sampling.draw(
    decoder,
    jnp.asarray(inputs),
    jax.random.split(jax.random.key(0), len(inputs)),
    num_samples=NUM_QUERIES,
    length=NEW_SYMBOLS,
    top_k=TOP_K,
    special=FIXED,
  )
  symbols = jax.device_get(samples.symbols)
  assert symbols.all(), "a sample ended early"
  return symbols


def _theirs(params: dict, config: T5Config):
  """Reads in `transformers` what genret exports."""
  import transformers

  flat = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(dict(params)):
    flat["/".join(key.key for key in path)] = Leaf.of(np.asarray(leaf))
  with tempfile.TemporaryDirectory() as folder:
    huggingface.write(Path(folder), config, flat)
    return transformers.T5ForConditionalGeneration.from_pretrained(folder)


def _their_generation(
  model, documents: Sequence[Sequence[int]], size: int
) -> Callable[[], object]:
  import torch

  ordered = sorted(documents, key=len)
  batches = [
    torch.tensor(_padded(group, max(map(len, group))), dtype=torch.long)
    for first in range(0, len(ordered), size)
    for group in [ordered[first : first + size]]
  ]

  def generate() -> list:
    torch.manual_seed(0)
    with torch.inference_mode():
      return [_generated(model, batch) for batch in batches]

  return generate


def _generated(model, inputs) -> np.ndarray:
  found = model.generate(
    input_ids=inputs,
    attention_mask=(inputs != 0).long(),
    do_sample=True,
    top_k=TOP_K,
    num_return_sequences=NUM_QUERIES,
    max_new_tokens=NEW_SYMBOLS,
    eos_token_id=None,
  ).numpy()
  assert found.shape == (len(inputs) * NUM_QUERIES, NEW_SYMBOLS + 1)
  return found


def _first_symbols(
  params: dict, config: T5Config, documents: Sequence[Sequence[int]]
) -> reporting.Check:
  """Tests the first symbols that are drawn against the whole model."""
  decoder = sampling.text_decoder(params, config, length=1)
  inputs = _padded(documents, LONGEST)
  samples = sampling.draw(
    decoder,
    jnp.asarray(inputs),
    jax.random.split(jax.random.key(1), len(inputs)),
    num_samples=DRAWS,
    length=1,
    top_k=TOP_K,
    special=FIXED,
  )
  start = jnp.zeros((len(inputs), 1), jnp.int32)
  logits = T5(config).apply({"params": params}, jnp.asarray(inputs), start)
  total = freedom = 0.0
  for symbols, row in zip(
    np.asarray(samples.symbols[..., 0]), np.asarray(logits[:, 0]), strict=True
  ):
    statistic, more = _chi_square(symbols, row)
    total, freedom = total + statistic, freedom + more
  return reporting.at_least(
    "first symbols against the model's own, p of chi-square",
    float(stats.chi2.sf(total, freedom)),
    0.01,
    unit=f"{freedom:g} degrees",
  )


def _chi_square(symbols: np.ndarray, logits: np.ndarray) -> tuple[float, int]:
  """Pearson's statistic among the likeliest symbols that stand for text."""
  logits = logits.astype(np.float64)
  logits[[Tokenizer.pad_id, Tokenizer.unk_id]] = -np.inf
  logits[sampling.num_pieces() :] = -np.inf
  best = np.argsort(-logits, kind="stable")[:TOP_K]
  weights = np.exp(logits[best] - logits[best].max())
  expected = len(symbols) * weights / weights.sum()
  counts = np.array([(symbols == symbol).sum() for symbol in best])
  assert counts.sum() == len(symbols), "a symbol that is none of the likeliest"
  large = expected >= 5
  counts = np.append(counts[large], counts[~large].sum())
  expected = np.append(expected[large], expected[~large].sum())
  if expected[-1] < 5:
    counts[-2:], expected[-2:] = counts[-2:].sum(), expected[-2:].sum()
    counts, expected = counts[:-1], expected[:-1]
  return float(((counts - expected) ** 2 / expected).sum()), len(counts) - 1


if __name__ == "__main__":
  main()
