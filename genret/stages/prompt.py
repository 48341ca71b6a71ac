"""The prompt stage: documents and a language model in, queries out."""

import dataclasses
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.querygen import asking, overlap
from genret.querygen import endpoint as endpoint_lib
from genret.querygen import examples as examples_lib
from genret.querygen import gguf as gguf_lib
from genret.querygen.answers import Answers
from genret.querygen.asking import Stock, Wanted
from genret.querygen.prompting import (
  INSTRUCTION,
  Backend,
  Decoding,
  Example,
  Prompt,
  check_grades,
)
from genret.stages import prompt_plan
from genret.stages.prompt_plan import PromptPlan
from genret.tasks import synthetic
from genret.tasks.synthetic import SyntheticQuery

STAGE = "prompt"
FORMAT_VERSION = 1
SUMMARY = "summary.json"
ANSWERS = "answers.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptConfig:
  """Who is asked, and how.

  Attributes:
    gguf: a GGUF file, or "smollm2"; or
    endpoint: the address of a service, and `model`, what it calls the model.
    model: see `endpoint`.
    instruction: what to do.
    examples: a file of at most eight; None: drawn from labelled queries.
    num_examples: drawn ones, 0 to 8.
    example_split: of the labelled queries.
    queries: of each document, and each of the `grades`.
    as_list: whether one answer is to hold all of them.
    grades: of relevance that queries are asked for; () names none.
    document_words: of a document that are read at most.
    attempts: what may be answered for a document, in multiples of `queries`.
    decoding: how answers are drawn.
    local: how a GGUF model is run.
    service: how an endpoint is called.
    prices: dollars for a million tokens of prompt and of completion, for the
      cost that is printed.
    seed: of the examples, and of draws in process.
  """

  gguf: str | None = None
  endpoint: str | None = None
  model: str | None = None
  instruction: str = INSTRUCTION
  examples: str | None = None
  num_examples: int = 5
  example_split: str = "train"
  queries: int = 10
  as_list: bool = False
  grades: tuple[int, ...] = ()
  document_words: int = 1000
  attempts: int = 3
  decoding: Decoding = Decoding()
  local: gguf_lib.Local = gguf_lib.Local()
  service: endpoint_lib.Service = endpoint_lib.Service()
  prices: tuple[float, float] | None = None
  seed: int = 0

  def __post_init__(self):
    for name in ("queries", "document_words", "attempts"):
      if getattr(self, name) < 1:
        raise ConfigError(
          f"{name} is {getattr(self, name)}; expected 1 or more."
        )
    if len(set(self.grades)) < len(self.grades):
      raise ConfigError(
        f"grades are {list(self.grades)}; expected each of them once."
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompted:
  """What was written.

  Attributes:
    folder: The artifact.
    summary: Counts, tokens, examples, and the overlap with each split.
    overlap: The last of these in words.
    cost: Dollars, None where no price is known.
  """

  folder: Path
  summary: dict[str, Any]
  overlap: str
  cost: float | None


def run(
  config: PromptConfig,
  collection: Collection,
  *,
  out: Path,
  dry_run: bool = False,
  gin_text: str = "",
) -> Prompted | PromptPlan:
  """Asks a model for queries of all documents, or finds them written.

  Every answer is on disk in `out` when the next is asked for; the same command
  asks only for what is missing. From the same answers come the same bytes.

  Args:
    config: Who is asked, and how.
    collection: Whose documents are read.
    out: The artifact's folder: queries.jsonl and summary.json; beside them,
      and no part of its identity, answers.jsonl.
    dry_run: Whether to ask nothing and say what asking would take.
    gin_text: The configuration, for the provenance.

  Raises:
    ArtifactError: `out` holds something else.
    UserError: the model or the service cannot be used; says why.
  """
  _check_model(config)
  out, started = Path(out), time.time()
  prompt = _prompt(config, collection)
  if dry_run:
    return prompt_plan.plan(
      _Wanted(config, collection, prompt),
      decoding=config.decoding,
      prices=config.prices,
      every=max(1, collection.num_documents // prompt_plan.TOKENISED),
    )
  recipe = _recipe(config, collection, prompt)
  if artifacts.begin(out, recipe) is None:
    with Answers(out / ANSWERS) as answers:
      wanted = _Wanted(config, collection, prompt)
      _ask(config, wanted, answers)
      _write(config, wanted, answers, out=out)
    artifacts.seal(
      out,
      recipe,
      files=(synthetic.QUERIES, SUMMARY),
      started=started,
      gin_text=gin_text,
    )
  return _prompted(out, config)


def _check_model(config: PromptConfig) -> None:
  if (config.gguf is None) == (config.endpoint is None):
    raise ConfigError(
      "Give a GGUF model by --gguf, or a service by --endpoint; one of them."
    )
  if config.endpoint is not None and not config.model:
    raise ConfigError(
      f"Say by --model which of its models {config.endpoint} is to use."
    )


def _prompt(config: PromptConfig, collection: Collection) -> Prompt:
  found: tuple[Example, ...]
  if config.examples is not None:
    found = examples_lib.read(Path(config.examples).expanduser())
  else:
    found = examples_lib.drawn(
      collection,
      split=config.example_split,
      number=config.num_examples,
      seed=config.seed,
      graded=bool(config.grades),
    )
  prompt = Prompt(
    instruction=config.instruction, examples=found, as_list=config.as_list
  )
  check_grades(prompt, config.grades)
  return prompt


def _recipe(
  config: PromptConfig, collection: Collection, prompt: Prompt
) -> artifacts.Recipe:
  """What queries depend on: not where a model is, nor how often it is tried."""
  arguments = {
    name: getattr(config, name)
    for name in ("queries", "grades", "document_words", "attempts", "decoding")
  }
  arguments["prompt"] = prompt
  inputs = {"collection": collection.identity}
  if config.gguf is not None:
    local = dataclasses.asdict(config.local)
    del local["device"]
    arguments["local"] = local
    inputs["gguf"] = artifacts.file_hash(gguf_lib.find(config.gguf))
  else:
    arguments["model"] = config.model
    arguments["extra"] = config.service.extra
  return artifacts.Recipe(
    stage=STAGE,
    arguments=arguments,
    seed=config.seed,
    inputs=inputs,
    format_version=FORMAT_VERSION,
  )


class _Wanted:
  """What is wanted for each document that has a text, in corpus order."""

  def __init__(
    self, config: PromptConfig, collection: Collection, prompt: Prompt
  ):
    self._config = config
    self.collection = collection
    self.prompt = prompt
    self.empty = self.shortened = 0

  def __len__(self) -> int:
    grades = len(self._config.grades) or 1
    return self.collection.num_documents * grades

  def __iter__(self) -> Iterator[Wanted]:
    config = self._config
    self.empty = self.shortened = 0
    for document in self.collection.documents():
      words = document.contents.split(None, config.document_words)
      self.empty += not words
      if not words:
        continue
      text = document.contents
      if len(words) > config.document_words:
        self.shortened += 1
        text = " ".join(words[: config.document_words])
      for grade in config.grades or (None,):
        yield Wanted(
          prompt=self.prompt.without(document.docno),
          docno=document.docno,
          text=text,
          grade=grade,
          n=config.queries,
          attempts=config.attempts,
        )


def _ask(config: PromptConfig, wanted: _Wanted, answers: Answers) -> None:
  """Asks for what is missing, if anything is."""
  if not any(asking.take_stock(one, answers).missing for one in wanted):
    return
  backend = _backend(config, proven=bool(answers))
  with tqdm(total=len(wanted), desc="prompt", unit=" documents") as bar:
    asking.ask_all(wanted, backend, answers, done=bar.update)
    bar.update(bar.total - bar.n)


def _backend(config: PromptConfig, *, proven: bool) -> Backend:
  if config.gguf is not None:
    return gguf_lib.Gguf(
      gguf_lib.find(config.gguf),
      decoding=config.decoding,
      local=config.local,
      seed=config.seed,
    )
  return endpoint_lib.Endpoint(
    config.endpoint,
    model=config.model,
    decoding=config.decoding,
    service=config.service,
    proven=proven,
  )


@dataclasses.dataclass(kw_only=True)
class _Totals:
  """What is counted over all documents: these, queries, answers, tokens."""

  counts: Counter[str] = dataclasses.field(default_factory=Counter)
  faults: Counter[str] = dataclasses.field(default_factory=Counter)

  def add(self, stocks: Sequence[Stock], *, wanted: int) -> None:
    """Counts what came of a document, of all its grades."""
    found = sum(len(stock.queries) for stock in stocks)
    self.counts["queries"] += found
    self.counts["asked"] += 1
    self.counts["without_queries"] += not found
    self.counts["with_fewer"] += 0 < found < wanted
    self.counts["cut_for_model"] += any(stock.cut for stock in stocks)
    for name in (
      "answers",
      "prompt_tokens",
      "cached_tokens",
      "completion_tokens",
    ):
      self.counts[name] += sum(getattr(stock, name) for stock in stocks)
    for stock in stocks:
      self.faults.update(stock.faults)


def _write(
  config: PromptConfig, wanted: _Wanted, answers: Answers, *, out: Path
) -> None:
  """Writes queries and summary out of the answers."""
  name = config.model
  if config.gguf is not None:
    name = gguf_lib.find(config.gguf).stem
  totals = _Totals()
  with artifacts.writing(out / synthetic.QUERIES) as file:
    for _, group in itertools.groupby(wanted, key=lambda one: one.docno):
      grades = list(group)
      stocks = [asking.take_stock(one, answers) for one in grades]
      totals.add(stocks, wanted=sum(one.n for one in grades))
      for one, stock in zip(grades, stocks, strict=True):
        queries = _queries(one, stock, generator=name)
        file.writelines(map(synthetic.write_line, queries))
  counts = totals.counts
  counts["empty_documents"] = wanted.empty
  counts["shortened"] = wanted.shortened
  overlaps = _overlap(out, wanted)
  summary = {
    "counts": dict(counts),
    "faults": dict(totals.faults),
    "examples": [dataclasses.asdict(e) for e in wanted.prompt.examples],
    "overlap": {s: dataclasses.asdict(o) for s, o in overlaps.items()},
  }
  artifacts.write_json(out / SUMMARY, summary)


def _queries(
  wanted: Wanted, stock: Stock, *, generator: str
) -> Iterator[SyntheticQuery]:
  for text, log_probability in stock.queries:
    yield SyntheticQuery(
      docno=wanted.docno,
      text=text,
      log_probability=log_probability,
      generator=generator,
      grade=wanted.grade,
    )


def _overlap(out: Path, wanted: "_Wanted") -> dict[str, overlap.Overlap]:
  """Counts which queries are questions of the collection."""
  path = out / synthetic.QUERIES
  if not path.stat().st_size:
    return {}
  return overlap.count(synthetic.read_queries(path), wanted.collection)


def _prompted(out: Path, config: PromptConfig) -> Prompted:
  summary = artifacts.read_json(out / SUMMARY)
  found = {s: overlap.Overlap(**o) for s, o in summary["overlap"].items()}
  words = overlap.describe(found, num_queries=summary["counts"]["queries"])
  counts = summary["counts"]
  cost = prompt_plan.dollars(
    counts["prompt_tokens"], counts["completion_tokens"], prices=config.prices
  )
  return Prompted(folder=out, summary=summary, overlap=words, cost=cost)
