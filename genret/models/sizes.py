"""The hyperparameters of a T5.1.1, and the table of named sizes."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self, get_args

from genret.core import errors
from genret.core.docid_table import FIRST_SYMBOL
from genret.models.encoder_config import EncoderConfig

REMAT = Literal["none", "dots", "full"]
UNLESS_SET = {"unless_set": True}
"""A field that manifests leave out where it has its default."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PawaConfig:
  """Shape of a prefix-aware weight-adaptive head; see `pawa`.

  Its adaptor is as wide as the decoder, with heads of the same width.

  Attributes:
    num_layers: of the adaptor (NCI: 4).
    num_heads: attention heads of its layers; None takes the decoder's.
    mlp_dim: hidden width of its gated MLPs; None takes the decoder's.
    init_scale: standard deviation of what the adaptor first adds to a weight
      of the head, in those of the head's own start. At 0 the head starts as
      one that does not depend on the prefix.
  """

  num_layers: int = 4
  num_heads: int | None = None
  mlp_dim: int | None = None
  init_scale: float = 1.0

  def __post_init__(self):
    if self.num_layers < 1:
      raise errors.ConfigError(
        f"PawaConfig.num_layers is {self.num_layers}; an adaptor has 1 or more."
        " Leave T5Config.pawa away for a head that does not adapt."
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Config:
  """Shape, regularisation and initialisation of a T5.1.1.

  The initialisation fields default to T5's own scheme, which is made for long
  pre-training. A model trained from scratch in minutes wants smaller ones:
  see `embedding_init_stddev` and `residual_init_scale`.

  Attributes:
    vocab_size: rows of the text embedding (T5: 32,000 pieces and 100
      sentinels, padded to 32,128).
    emb_dim: width D of the residual stream.
    num_heads: attention heads H.
    head_dim: width of a head; H x head_dim need not be D (T5.1.1 small).
    mlp_dim: hidden width of the gated MLP.
    num_encoder_layers: layers of the encoder.
    num_decoder_layers: layers of the decoder.
    dropout_rate: the one rate of every dropout in T5.
    dtype: of activations, "float32" or "bfloat16". Parameters, softmax, norms'
      statistics and logits are float32 whatever it is.
    docid_vocab_size: V, symbols of an own docid vocabulary, pad and EOS
      included. The decoder then has an embedding and a head of its own. None:
      docids are text; the text embedding is shared and the head is vocab_size
      wide.
    docid_length: T, the most symbols of a docid, EOS counted: what a decoding
      cache holds. With an own vocabulary and T = 1 the decoder reads only BOS,
      so the docid embedding is that one row.
    head_multiple: the head's width is rounded up to a multiple of this (128 x
      devices of the model axis); the columns too many are masked.
    relpos_buckets: buckets of relative positions.
    relpos_max_distance: distance from which all positions share a bucket.
    embedding_init_stddev: standard deviation of the text embedding. From
      scratch 0.1 learns sooner: an adaptive optimizer moves every weight by
      about its learning rate, which is slow beside 1.0.
    docid_embedding_init_stddev: the same for the docid embedding.
    residual_init_scale: factor on the initial kernels by which self-attention
      and MLP write to the residual stream (`out`, `wo`). Near 0 the network
      starts as a pool of its input embeddings.
    cross_query_init_scale: factor on the cross-attention's initial query
      kernel. Near 0 it starts as a mean over the inputs.
    cross_out_init_scale: factor on the cross-attention's initial out kernel.
    cross_copies_at_init: whether the cross-attention's value and out kernels
      start as an orthogonal matrix and its transpose. With a near-uniform
      attention the decoder then starts as the mean of the input embeddings.
    head_init_scale: factor on the head's initial kernel.
    remat: what a training step keeps of each layer for its backward pass:
      "none" makes nothing again and keeps all, "dots" keeps the products with
      kernels, "full" keeps the layer's input alone.
    scan_layers: whether a training step compiles one encoder layer and one
      decoder layer and scans over a copy of their parameters.
    encoder: a sentence encoder in the place of T5's own, whose fields
      (num_encoder_layers among them) then say nothing. emb_dim is its width.
    pawa: a head whose weights depend on the symbols already written; None for
      T5's own. Needs level_starts.
    level_starts: of docids whose every position m has symbols of its own, from
      level_starts[m] to before level_starts[m + 1], the last up to V - 1.
      Taken from the docid table; only `pawa` reads it.
  """

  vocab_size: int = 32_128
  emb_dim: int = 512
  num_heads: int = 6
  head_dim: int = 64
  mlp_dim: int = 1024
  num_encoder_layers: int = 8
  num_decoder_layers: int = 8
  dropout_rate: float = 0.1
  dtype: str = "float32"
  docid_vocab_size: int | None = None
  docid_length: int | None = None
  head_multiple: int = 128
  relpos_buckets: int = 32
  relpos_max_distance: int = 128
  embedding_init_stddev: float = 1.0
  docid_embedding_init_stddev: float = 1.0
  residual_init_scale: float = 1.0
  cross_query_init_scale: float = 1.0
  cross_out_init_scale: float = 1.0
  cross_copies_at_init: bool = False
  head_init_scale: float = 1.0
  remat: REMAT = "none"
  scan_layers: bool = False
  encoder: EncoderConfig | None = None
  pawa: PawaConfig | None = dataclasses.field(default=None, metadata=UNLESS_SET)
  level_starts: tuple[int, ...] | None = dataclasses.field(
    default=None, metadata=UNLESS_SET
  )

  def __post_init__(self):
    if self.level_starts is not None:
      starts = tuple(map(int, self.level_starts))
      object.__setattr__(self, "level_starts", starts)
    if self.pawa is not None and self.docid_length is not None:
      self.check_levels()
    if self.dtype not in ("float32", "bfloat16"):
      raise errors.ConfigError(
        f"dtype of activations is {self.dtype!r}; T5 runs in 'float32' or"
        " 'bfloat16'."
      )
    if self.remat not in get_args(REMAT):
      raise errors.ConfigError(
        f"remat is {self.remat!r}; expected 'none', 'dots' or 'full'."
      )
    if self.docid_vocab_size is not None and self.docid_length is None:
      raise errors.ConfigError(
        f"docid_vocab_size is {self.docid_vocab_size} but docid_length is not"
        " given; set it to the table's length T (EOS counted)."
      )
    if self.encoder is not None and self.emb_dim != self.encoder.width:
      raise errors.ConfigError(
        f"emb_dim is {self.emb_dim} and the encoder writes"
        f" {self.encoder.width} numbers a token (bert.emb_dim"
        f" {self.encoder.bert.emb_dim} and lexical_dim"
        f" {self.encoder.lexical_dim}); set emb_dim to that."
      )

  def check_levels(self) -> None:
    """Refuses docids that a prefix-aware head cannot write.

    Raises:
      ConfigError: their positions share symbols, or there is but one.
    """
    if self.level_starts is None or self.docid_vocab_size is None:
      raise errors.ConfigError(
        "T5Config.pawa needs docids whose every position has symbols of its"
        " own, and these have not: level_starts is not set. Make 2D docids by"
        " genret docids --gin_file=docids/semantic_2d.gin (to plan for such,"
        " set DOCID_LEVELS), or leave pawa away."
      )
    if self.docid_length < 2:
      raise errors.ConfigError(
        "T5Config.pawa adapts the head to the symbols already written, and"
        " docids of one symbol have none before it; leave pawa away."
      )
    starts = self.level_starts
    ascending = all(size > 0 for size in self.level_sizes)
    if starts[:1] != (FIRST_SYMBOL,) or not ascending:
      raise errors.ConfigError(
        f"level_starts is {starts} with docid_vocab_size"
        f" {self.docid_vocab_size}; expected {FIRST_SYMBOL}, then each level's"
        " first symbol in ascending order, below docid_vocab_size."
      )

  @classmethod
  def from_json(cls, fields: Mapping[str, Any]) -> Self:
    """Makes one of what JSON keeps of `dataclasses.asdict`."""
    encoder, pawa = fields.get("encoder"), fields.get("pawa")
    if encoder is not None:
      fields = {**fields, "encoder": EncoderConfig.from_json(encoder)}
    if pawa is not None:
      fields = {**fields, "pawa": PawaConfig(**pawa)}
    return cls(**fields)

  @property
  def level_sizes(self) -> tuple[int, ...]:
    """Symbols of each level; of docids without levels none."""
    starts = self.level_starts or ()
    ends = (*starts[1:], self.num_symbols)
    return tuple(
      b - a for a, b in zip(starts, ends[: len(starts)], strict=True)
    )

  @property
  def adaptor(self) -> "T5Config":
    """The shape of the prefix-aware head's adaptor, as of a decoder."""
    pawa = self.pawa
    return dataclasses.replace(
      self,
      num_decoder_layers=pawa.num_layers,
      num_heads=pawa.num_heads or self.num_heads,
      mlp_dim=pawa.mlp_dim or self.mlp_dim,
      cross_copies_at_init=False,
    )

  @property
  def input_vocabulary(self) -> str:
    """Name of the vocabulary that inputs are written in."""
    return "t5" if self.encoder is None else self.encoder.vocabulary

  @property
  def embeds_text(self) -> bool:
    """Whether there is a text embedding, `token_embedder`.

    A sentence encoder has its own; docids of text still need one.
    """
    return self.encoder is None or self.docid_vocab_size is None

  @property
  def plain(self) -> "T5Config":
    """The same model, its layers run one by one and nothing made again."""
    return dataclasses.replace(self, remat="none", scan_layers=False)

  @property
  def num_symbols(self) -> int:
    """V, the symbols that the head chooses from."""
    return self.docid_vocab_size or self.vocab_size

  @property
  def head_width(self) -> int:
    """Columns of the head: V rounded up to a multiple of head_multiple."""
    return -(-self.num_symbols // self.head_multiple) * self.head_multiple

  @property
  def docid_embeddings(self) -> int:
    """Rows of the docid embedding; 0 where the text embedding serves."""
    if self.docid_vocab_size is None:
      return 0
    return 1 if self.docid_length == 1 else self.docid_vocab_size


def _size(
  *, layers: int, emb_dim: int, mlp_dim: int, num_heads: int
) -> T5Config:
  return T5Config(
    emb_dim=emb_dim,
    mlp_dim=mlp_dim,
    num_heads=num_heads,
    num_encoder_layers=layers,
    num_decoder_layers=layers,
  )


# small to xxl: T5.1.1 as released (t5x's t5_1_1/{small,base,large,xl,xxl}.gin).
# tiny and mini: layers and widths of t5-efficient-tiny and -mini (Tay et al.,
# "Scale Efficiently", arXiv 2109.10686), in T5.1.1's form: a gated MLP and a
# head apart from the embedding, so their counts are not that paper's. Their
# published counts, 15.58M and 31.23M, come out with 64-wide heads only, though
# the model cards say 32.
SIZES: Mapping[str, T5Config] = MappingProxyType(
  {
    "tiny": _size(layers=4, emb_dim=256, mlp_dim=1024, num_heads=4),
    "mini": _size(layers=4, emb_dim=384, mlp_dim=1536, num_heads=8),
    "small": _size(layers=8, emb_dim=512, mlp_dim=1024, num_heads=6),
    "base": _size(layers=12, emb_dim=768, mlp_dim=2048, num_heads=12),
    "large": _size(layers=24, emb_dim=1024, mlp_dim=2816, num_heads=16),
    "xl": _size(layers=24, emb_dim=2048, mlp_dim=5120, num_heads=32),
    "xxl": _size(layers=24, emb_dim=4096, mlp_dim=10_240, num_heads=64),
  }
)


def size(name: str) -> T5Config:
  """Returns the named size.

  >>> size("base").emb_dim
  768

  Args:
    name: a key of SIZES.

  Raises:
    ConfigError: no such size.
  """
  if name not in SIZES:
    raise errors.ConfigError(
      f"no model size {name!r}.{errors.suggest(name, SIZES)}"
    )
  return SIZES[name]
