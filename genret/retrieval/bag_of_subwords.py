"""A softmax over documents of a bag of subwords: the cheap neural baseline.

A text is the mean of the embeddings of its T5 subwords, weighted by idf, and
one matrix maps it to a logit for each document. It is a generative retriever
with atomic docids and no transformer: what a transformer adds has to show
beside it.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from genret.core.collection import Document, Positive, Query
from genret.core.errors import ConfigError, UserError
from genret.core.runs import Run
from genret.core.text import Tokenizer
from genret.retrieval import searcher, subword_examples, subword_model
from genret.retrieval.subword_examples import Source, Texts

_SEARCH_BATCH = 256
_WARM_UP = 0.05  # share of the budget in which the learning rate rises


@dataclasses.dataclass(frozen=True, kw_only=True)
class BagOfSubwordsConfig:
  """Settings of the baseline; the defaults were chosen on dev of `squad`.

  Attributes:
    dim: Size D of the embeddings.
    train_steps: Steps; with `max_seconds`, at most as many.
    max_seconds: Seconds to train for, or None. The clock decides then how
      many steps there are, and no two machines give the same figures.
    batch_size: Examples B a step.
    learning_rate: Of Adam at its highest: it rises over the first twentieth
      of the budget and falls in a line to zero.
    dropout_rate: Share of the features of a text that are zeroed in training.
    label_smoothing: Share of the target that is spread over all documents.
    embedding_stddev: Of the initial embeddings. They have to be small beside
      the learning rate, or training hardly moves them.
    max_length: Subwords of a text that are read.
    lower_case: Whether texts are lower-cased; T5's vocabulary is cased.
    questions: Rate of training questions among the examples; the three rates
      count relative to their sum.
    sentences: Rate of sentences of the documents.
    passages: Rate of whole documents, title and text.
    subword_dropout: Lowest and highest share of the subwords of sentences and
      documents that are left out, drawn for each example.
    eval_period: Steps between two looks at dev.
    seed: Of initial values, order of examples, dropout and ties.
  """

  dim: int = 256
  train_steps: int = 400
  max_seconds: float | None = None
  batch_size: int = 512
  learning_rate: float = 2e-2
  dropout_rate: float = 0.1
  label_smoothing: float = 0.1
  embedding_stddev: float = 0.1
  max_length: int = 256
  lower_case: bool = True
  questions: float = 1.0
  sentences: float = 5.0
  passages: float = 1.0
  subword_dropout: tuple[float, float] = (0.3, 0.7)
  eval_period: int = 100
  seed: int = 0

  def __post_init__(self):
    for name in ("dim", "train_steps", "batch_size", "eval_period"):
      if getattr(self, name) < 1:
        raise ConfigError(f"{name} is from 1 on, got {getattr(self, name)}")
    rates = (self.questions, self.sentences, self.passages)
    if min(rates) < 0 or not sum(rates):
      raise ConfigError(
        "questions, sentences and passages are rates of examples: none below"
        f" zero and one above it, got {rates}"
      )
    low, high = self.subword_dropout
    if not 0 <= low <= high < 1:
      raise ConfigError(
        "subword_dropout is the lowest and the highest share that is left"
        f" out, in [0, 1), got {self.subword_dropout}"
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
  """What the searcher was worth on dev after a step."""

  step: int
  value: float


class BagOfSubwords:
  """A searcher that ranks documents by a bag of subwords.

  Attributes:
    config: Its settings.
    looks: What each look at dev found.
    chosen_step: The step whose parameters it has.
  """

  def __init__(
    self,
    config: BagOfSubwordsConfig | None = None,
    *,
    tokenizer: Tokenizer | None = None,
  ):
    self.config = config or BagOfSubwordsConfig()
    self.looks: list[Look] = []
    self.chosen_step = 0
    self._tokenizer = tokenizer or Tokenizer()

  def fit(
    self,
    documents: Sequence[Document],
    positives: Sequence[Positive],
    *,
    evaluate: Callable[["BagOfSubwords"], float] | None = None,
    progress: bool = False,
  ) -> "BagOfSubwords":
    """Train on questions and on the documents themselves.

    Args:
      documents: What to search.
      positives: Training queries, each with a document that answers it.
      evaluate: How good the searcher is now, higher is better, measured on
        dev. The parameters of the best look are kept; without it, the last.
      progress: Whether to show a progress bar.

    Returns:
      The searcher itself.
    """
    if not documents:
      raise UserError("there are no documents to train on")
    self._docnos = [document.docno for document in documents]
    self._ties = searcher.tie_order(len(documents), seed=self.config.seed)
    sources = self._sources(documents, positives)
    self._idf = subword_examples.idf(
      sources["passages"].texts,
      [source.texts for source in sources.values() if source.rate > 0],
      vocab_size=self._tokenizer.vocab_size,
    )
    self._params, self.looks, self.chosen_step = None, [], 0
    with _bar(self.config, disable=not progress) as bar:
      self._train(sources, evaluate, bar)
    return self

  def search(self, queries: Sequence[Query], *, k: int) -> Run:
    """Rank documents by their log-probability.

    Args:
      queries: What to search for.
      k: Hits a query; fewer where there are fewer documents.

    Returns:
      Query id to hits, best first, scores strictly decreasing.
    """
    searcher.check_k(k)
    run = {}
    for start in range(0, len(queries), _SEARCH_BATCH):
      part = queries[start : start + _SEARCH_BATCH]
      for query, scores in zip(part, self._scores(part), strict=True):
        rows = searcher.best_rows(scores, k, self._ties)
        run[query.query_id] = searcher.hits(rows, scores[rows], self._docnos)
    return run

  def _scores(self, queries: Sequence[Query]) -> Float[np.ndarray, "B N"]:
    texts = Texts.of(self._encode([query.text for query in queries]))
    scores = subword_model.log_probabilities(
      self._params,
      subword_model.make_bags(texts, self._idf),
      num_texts=_SEARCH_BATCH,
    )
    return np.asarray(scores)[: len(queries)]

  def _encode(self, texts: Sequence[str]) -> list[list[int]]:
    if self.config.lower_case:
      texts = [text.lower() for text in texts]
    return self._tokenizer.encode(
      texts, max_length=self.config.max_length, eos=False
    )

  def _sources(
    self, documents: Sequence[Document], positives: Sequence[Positive]
  ) -> dict[str, Source]:
    examples = {
      "questions": subword_examples.questions(
        positives, self._docnos, self._encode
      ),
      "sentences": subword_examples.sentences(documents, self._encode),
      "passages": subword_examples.passages(documents, self._encode),
    }
    return {
      kind: Source(
        texts=texts,
        labels=labels,
        rate=getattr(self.config, kind),
        drop=(0, 0) if kind == "questions" else self.config.subword_dropout,
      )
      for kind, (texts, labels) in examples.items()
    }

  def _train(
    self,
    sources: Mapping[str, Source],
    evaluate: Callable[["BagOfSubwords"], float] | None,
    bar: tqdm,
  ) -> None:
    config = self.config
    batches = subword_examples.batches(
      sources, batch_size=config.batch_size, seed=config.seed
    )
    params, state = subword_model.init(
      vocab_size=len(self._idf),
      num_documents=len(self._docnos),
      dim=config.dim,
      embedding_stddev=config.embedding_stddev,
      seed=config.seed,
    )
    step = 0
    for step, done in enumerate(_budget(config), start=1):
      batch = next(batches)
      params, state, loss = subword_model.train_step(
        params,
        state,
        bags=subword_model.make_bags(batch.texts, self._idf),
        labels=batch.labels,
        learning_rate=config.learning_rate * _schedule(done),
        key=jax.random.fold_in(jax.random.key(config.seed), step),
        dropout_rate=config.dropout_rate,
        label_smoothing=config.label_smoothing,
      )
      bar.update(config.batch_size)
      if evaluate is not None and step % config.eval_period == 0:
        self._look(step, params, evaluate)
        bar.set_postfix(loss=f"{loss:.3f}", dev=f"{self.looks[-1].value:.3f}")
    if evaluate is None:
      self._params, self.chosen_step = params, step
    elif not self.looks or self.looks[-1].step < step:
      self._look(step, params, evaluate)

  def _look(
    self,
    step: int,
    params: subword_model.Params,
    evaluate: Callable[["BagOfSubwords"], float],
  ) -> None:
    """Look at dev, and keep the parameters if they are the best so far."""
    kept, best = self._params, max((x.value for x in self.looks), default=None)
    self._params = params
    value = evaluate(self)
    self.looks.append(Look(step=step, value=value))
    if best is None or value > best:
      self._params = jax.tree.map(jnp.copy, params)  # the next step takes them
      self.chosen_step = step
    else:
      self._params = kept


def _bar(config: BagOfSubwordsConfig, *, disable: bool) -> tqdm:
  return tqdm(
    total=config.train_steps * config.batch_size,
    desc="bag of subwords",
    unit="example",
    unit_scale=True,
    disable=disable,
  )


def _budget(config: BagOfSubwordsConfig) -> Iterator[float]:
  """Yield, before each step, the share of the budget that is spent."""
  start = time.monotonic()
  for step in range(config.train_steps):
    done = step / config.train_steps
    if config.max_seconds is not None:
      done = max(done, (time.monotonic() - start) / config.max_seconds)
    if done >= 1:
      return
    yield done


def _schedule(done: float) -> float:
  """Return the share of the highest learning rate: up, then down to zero.

  >>> [round(_schedule(done), 2) for done in (0.0, 0.05, 0.525)]
  [0.02, 1.0, 0.5]
  """
  rising = (done + 0.001) / _WARM_UP
  falling = (1 - done) / (1 - _WARM_UP)
  return min(rising, falling)
