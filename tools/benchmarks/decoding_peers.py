"""What the constrained search is measured against."""

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import peers
from jaxtyping import Float, Int

from genret.core.docid_table import EOS, PAD
from genret.decoding.selection import Frontier
from genret.models.t5 import T5Config

_ROWS_AT_ONCE = 10_000  # rows that are Python lists at a time


def dict_trie(codes: Int[np.ndarray, "N T"]) -> dict[int, dict]:
  """Builds the trie of nested dicts that `generate` is constrained with."""
  root: dict[int, dict] = {}
  for start in range(0, len(codes), _ROWS_AT_ONCE):
    for row in codes[start : start + _ROWS_AT_ONCE].tolist():
      node = root
      for symbol in row:
        if symbol == PAD:
          break
        node = node.setdefault(symbol, {})
  return root


def static_builder(
  checkout: Path,
) -> Callable[[Int[np.ndarray, "N T"], int], tuple[np.ndarray, ...]]:
  """Finds STATIC's index (arXiv 2602.22647) in a checkout of its repository.

  Args:
    checkout: of github.com/youtube/static-constraint-decoding.

  Returns:
    A function of codes and V to the index's arrays. It sorts the codes
    first, as STATIC asks of its callers.

  Raises:
    ImportError: the folder does not hold it.
  """
  build_static_index = _static_modules(checkout)[0].build_static_index

  def build(codes: np.ndarray, vocab_size: int) -> tuple[np.ndarray, ...]:
    ordered = codes[np.lexsort(codes.T[::-1])]
    index = build_static_index(ordered, vocab_size)
    return tuple(part for part in index if isinstance(part, np.ndarray))

  return build


def _static_modules(checkout: Path) -> tuple[ModuleType, ModuleType]:
  sys.path.insert(0, str(checkout))
  try:
    return (
      importlib.import_module("static_decoding.csr_utils"),
      importlib.import_module("static_decoding.decoding_jax"),
    )
  finally:
    sys.path.remove(str(checkout))


class Transformers:
  """`transformers`' beam search of docids of one length, without EOS.

  Constrained as its users do it: by a Python function that walks a trie of
  nested dicts for every beam and step.

  Args:
    params: our parameter tree; the model gets the same weights.
    config: of our model; its docid_length is the docids'.
    codes: the docids.
  """

  def __init__(
    self,
    params: Mapping[str, Any],
    config: T5Config,
    codes: Int[np.ndarray, "N T"],
  ):
    self._model = peers.torch_t5(params, config).eval()
    self._length = codes.shape[1]
    self._trie = dict_trie(codes)

  def search(
    self, inputs: Int[np.ndarray, "B L"], num_beams: int, *, constrained: bool
  ) -> Any:
    """Returns what `generate` does of the best `num_beams` docids a query."""
    return self._generate(inputs, num_beams, constrained=constrained)

  def found(
    self, inputs: Int[np.ndarray, "B L"], num_beams: int
  ) -> tuple[Int[np.ndarray, "B K T"], Float[np.ndarray, "B K"]]:
    """Returns the docids of the constrained search, and their scores."""
    out = self._generate(
      inputs,
      num_beams,
      constrained=True,
      return_dict_in_generate=True,
      output_scores=True,
    )
    shape = (len(inputs), num_beams)
    docids = out.sequences[:, 1:].reshape(*shape, self._length)
    return docids.numpy(), out.sequences_scores.reshape(shape).numpy()

  def _generate(
    self,
    inputs: np.ndarray,
    num_beams: int,
    *,
    constrained: bool,
    **options: Any,
  ) -> Any:
    import torch

    if constrained:
      options["prefix_allowed_tokens_fn"] = self._allowed
    tokens = torch.from_numpy(inputs).long()
    with torch.inference_mode():
      return self._model.generate(
        tokens,
        attention_mask=(tokens != PAD).long(),
        num_beams=num_beams,
        num_return_sequences=num_beams,
        max_new_tokens=self._length,
        min_new_tokens=self._length,
        length_penalty=0.0,
        do_sample=False,
        pad_token_id=PAD,
        eos_token_id=EOS,
        **options,
      )

  def _allowed(self, batch: int, prefix: Any) -> list[int]:
    del batch
    node = self._trie
    for symbol in prefix.tolist()[1:]:
      # Where there are fewer docids than beams, some follow no docid.
      node = node.get(symbol, {})
    return list(node) or [PAD]


class StaticSteps:
  """One step of STATIC at a time, by its own look-up in its own index.

  Scores and beams are handled around it as its search does: log-softmax,
  dense tables for the first two levels where they fit (one level at larger
  V), top-K over what follows all beams.

  Args:
    checkout: of STATIC's repository.
    rows: distinct docids in order.
    vocab_size: V.
    num_beams: K.

  Raises:
    ImportError: the folder does not hold STATIC.
  """

  def __init__(
    self,
    checkout: Path,
    rows: Int[np.ndarray, "U T"],
    vocab_size: int,
    *,
    num_beams: int,
  ):
    csr, code = _static_modules(checkout)
    self._dense = 2 if vocab_size <= 4096 else 1
    packed, indptr, branches, _, mask, states = csr.build_static_index(
      rows, vocab_size, dense_lookup_layers=self._dense
    )
    self._tables = jax.device_put((packed, indptr, mask, states))
    self._branches = branches
    self._reached: dict[int, tuple[jax.Array, jax.Array]] = {}
    look_up = code.generate_and_apply_logprobs_mask

    def step(tables, logits, scores, states, limit):
      packed, indptr, mask, table = tables
      flat = jax.nn.log_softmax(logits.reshape(-1, vocab_size))
      nodes = states.reshape(-1)
      if limit is None:
        flat = jnp.where(mask[nodes - 1], flat, -jnp.inf)
        found, symbols = jax.lax.top_k(flat, num_beams)
        following = table[nodes[:, None] - 1, symbols]
      else:
        found, _, following = look_up(
          flat, nodes, packed, indptr, limit, vocab_size
        )
      totals = scores[..., None] + found.reshape(*scores.shape, -1)
      best, where = jax.lax.top_k(totals.reshape(len(scores), -1), num_beams)
      following = following.reshape(len(scores), -1)
      return best, jnp.take_along_axis(following, where, axis=1)

    self._step = jax.jit(step, static_argnums=4)

  def __call__(self, t: int, logits: jax.Array, beams: Frontier) -> jax.Array:
    """Takes the step at level t, from 1 on, one level after the other."""
    if t == 1:
      self._reached[1] = beams.scores, beams.symbols + 1
    limit = None if t < self._dense else self._branches[t]
    self._reached[t + 1] = self._step(
      self._tables, logits, *self._reached[t], limit
    )
    return self._reached[t + 1][0]
