"""Attention of many sequences that begin alike, for models of transformers.

What stands before all documents is read once, a document once for all its
queries, and each query attends to three parts: the prefix, its document and
what it wrote itself (bifurcated attention, Athiwaratkun et al., 2024; Hydragen,
Juravsky et al., 2024). Keys and values are kept once for all that share them,
so the products over shared parts are of whole matrices.

The model's own layers are left as they are: transformers hands its attention to
a function of ours, registered under a name. It does full causal attention and
nothing else, so models with windows or sinks are refused.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from genret.core.errors import ConfigError

ATTENTION = "genret_shared"
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


@dataclasses.dataclass(kw_only=True, eq=False)
class Part:
  """Keys and values of a part of the sequences, layer by layer.

  Attributes:
    keys: [S, Hkv, T, D] a layer, for S groups of sequences.
    values: as the keys.
    lengths: of the groups, where they differ; positions after are padding.
  """

  keys: list[Any] = dataclasses.field(default_factory=list)
  values: list[Any] = dataclasses.field(default_factory=list)
  lengths: Any = None

  @property
  def size(self) -> int:
    """T."""
    return self.keys[0].shape[2]

  def taken(self, groups: Any) -> "Part":
    """Picks groups by their numbers."""
    return Part(
      keys=[k.index_select(0, groups) for k in self.keys],
      values=[v.index_select(0, groups) for v in self.values],
      lengths=None if self.lengths is None else self.lengths[groups],
    )


@dataclasses.dataclass(kw_only=True, eq=False)
class Sequences:
  """What an attention function is told beside queries, keys and values.

  Attributes:
    shared: the parts before, each of so many groups that they divide the
      sequences into equal runs.
    own: where the keys and values just made go; they attend to each other
      causally where they are several, and to all of their own part.
  """

  shared: tuple[Part, ...] = ()
  own: Part = dataclasses.field(default_factory=Part)


def attend(
  module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any
) -> tuple[Any, None]:
  """Attends to the shared parts and the own one; what transformers calls.

  Args:
    module: the layer, which knows its number.
    query: [B, H, T, D].
    key: [B, Hkv, T, D]: of the same symbols.
    value: as the keys.
    mask: none; all is causal.
    **options: `scaling`, and the `Sequences` as `sequences`.

  Returns:
    [B, T, H, D], and None for weights.
  """
  import torch

  sequences: Sequences = options["sequences"]
  own = sequences.own
  layer = module.layer_idx
  if layer == len(own.keys):
    own.keys.append(key)
    own.values.append(value)
  else:
    own.keys[layer] = torch.cat([own.keys[layer], key], dim=2)
    own.values[layer] = torch.cat([own.values[layer], value], dim=2)
  query = query * options["scaling"]
  parts = (*sequences.shared, own)
  scores = [_scores(query, part, layer) for part in parts]
  scores[-1] = _causal(scores[-1])
  weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1)
  weights = weights.split([s.shape[-1] for s in scores], dim=-1)
  out = sum(
    _mixed(weight, part.values[layer])
    for weight, part in zip(weights, parts, strict=True)
  )
  return out.transpose(1, 2), None


def _grouped(array: Any, like: Any) -> Any:
  """[B, H, T, D] -> [S, Hkv, B / S * G * T, D]: what meets the same keys."""
  (batch, heads, length, dim), (groups, kv_heads) = array.shape, like.shape[:2]
  apart = array.reshape(
    groups, batch // groups, kv_heads, heads // kv_heads, length, dim
  )
  return apart.transpose(1, 2).reshape(groups, kv_heads, -1, dim)


def _ungrouped(array: Any, shape: Sequence[int]) -> Any:
  """Undoes `_grouped`: to [B, H, T, X]."""
  batch, heads, length = shape[:3]
  groups, kv_heads, _, last = array.shape
  apart = array.reshape(
    groups, kv_heads, batch // groups, heads // kv_heads, length, last
  )
  return apart.transpose(1, 2).reshape(batch, heads, length, last)


def _scores(query: Any, part: Part, layer: int) -> Any:
  """Returns [B, H, T, K], -inf where there is padding."""
  import torch

  keys = part.keys[layer]
  scores = torch.matmul(_grouped(query, keys), keys.transpose(2, 3))
  scores = _ungrouped(scores, query.shape)
  if part.lengths is not None:
    places = torch.arange(part.size, device=keys.device)
    padding = places >= part.lengths[:, None]
    padding = padding.repeat_interleave(len(query) // len(keys), dim=0)
    return scores.masked_fill(padding[:, None, None], -torch.inf)
  return scores


def _causal(scores: Any) -> Any:
  """Hides from each symbol those that come after it."""
  import torch

  length, size = scores.shape[2:]
  if length == 1:
    return scores
  seen = torch.ones(length, size, dtype=torch.bool, device=scores.device)
  return scores.masked_fill(~seen.tril(size - length), -torch.inf)


def _mixed(weights: Any, values: Any) -> Any:
  """Returns [B, H, T, D]."""
  mixed = _grouped(weights, values) @ values
  return _ungrouped(mixed, weights.shape)


class SharedModel:
  """A causal language model of transformers that reads shared parts once.

  Attributes:
    device: where it stands.
  """

  def __init__(self, model: Any):
    from transformers import AttentionInterface

    _check(model.config)
    AttentionInterface.register(ATTENTION, attend)
    model.config._attn_implementation = ATTENTION
    self._model = model.eval()
    self.device = model.device

  def read(
    self, symbols: Sequence[int], shared: Sequence[Part] = ()
  ) -> tuple[Part, Any]:
    """Reads one text after the parts that stand before it, of a group each.

    Returns:
      Its part, and the logits after it, [1, V].
    """
    import torch

    text = torch.tensor([list(symbols)], device=self.device)
    first = sum(part.size for part in shared)
    positions = first + torch.arange(text.shape[1], device=self.device)
    own = Part()
    sequences = Sequences(shared=tuple(shared), own=own)
    return own, self._forward(text, positions[None], sequences)

  def step(
    self, symbols: Any, shared: Sequence[Part], own: Part, *, positions: Any
  ) -> Any:
    """Lets each of B sequences read one symbol more.

    Args:
      symbols: int64 [B].
      shared: parts before, of groups that divide B.
      own: what the sequences wrote so far; is added to.
      positions: of the symbols, int64 [B].

    Returns:
      The logits after them, [B, V].
    """
    sequences = Sequences(shared=tuple(shared), own=own)
    return self._forward(symbols[:, None], positions[:, None], sequences)

  def _forward(self, symbols: Any, positions: Any, sequences: Sequences) -> Any:
    import torch

    with torch.inference_mode():
      hidden = self._model.base_model(
        input_ids=symbols,
        position_ids=positions,
        use_cache=False,
        sequences=sequences,
      ).last_hidden_state
      return self._model.get_output_embeddings()(hidden[:, -1])


def joined(parts: Sequence[Part]) -> Part:
  """Puts parts of one group each side by side, padded to the longest."""
  import torch

  lengths = [part.size for part in parts]

  def padded(arrays: Sequence[Any]) -> Any:
    shape = (
      len(arrays),
      *arrays[0].shape[1:2],
      max(lengths),
      arrays[0].shape[3],
    )
    out = arrays[0].new_zeros(shape)
    for row, array in enumerate(arrays):
      out[row, :, : array.shape[2]] = array[0]
    return out

  layers = range(len(parts[0].keys))
  return Part(
    keys=[padded([part.keys[i] for part in parts]) for i in layers],
    values=[padded([part.values[i] for part in parts]) for i in layers],
    lengths=torch.tensor(lengths, device=parts[0].keys[0].device),
  )


def _check(config: Any) -> None:
  kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
  window = getattr(config, "sliding_window", None)
  if config.model_type == "mistral" and window:
    kinds.add("sliding_attention")
  if config.model_type not in FAMILIES or kinds != {"full_attention"}:
    raise ConfigError(
      f"A model of type {config.model_type!r} with {', '.join(sorted(kinds))}"
      f" cannot be read in process; of {', '.join(FAMILIES)} those can that"
      " attend to all before. Serve it by llama.cpp or vLLM and give its"
      " --endpoint."
    )
