"""A generator: models that write queries, one for each fold of documents."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

import jax
from jax import Array
from jaxtyping import Key

from genret.core import artifacts, text
from genret.core.collection import Collection, Document
from genret.core.errors import ArtifactError, ConfigError
from genret.core.text import normalise_query
from genret.querygen import folds
from genret.querygen.sampling import (
  Asked,
  Drawn,
  Sampler,
  SamplingConfig,
  fitting_length,
)
from genret.querygen.shards import Tally
from genret.tasks import reversed as reversed_pairs
from genret.tasks.synthetic import SyntheticQuery

STAGE = "generator"
SPEC = "generator.json"
FOLD_SUMMARY = "summary.json"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorSpec:
  """What must be known of a generator to write queries with it.

  Attributes:
    folds: models; that of fold f saw no pair of a document in f. With one,
      it saw all but a share of the documents, which its loss is measured on.
    title: whether the title stands before the text.
    grades: whether it was told of grades, and can be asked for one.
    inputs_length: the most ids of a document.
    targets_length: the most ids of a query.
    seen_grades: what can be asked for: those of which every model saw a pair.
      Empty where it was told of none, or nobody wrote down which.
  """

  folds: int = 1
  title: bool = True
  grades: bool = False
  inputs_length: int = 384
  targets_length: int = 64
  seen_grades: tuple[int, ...] = dataclasses.field(
    default=(), metadata={"unless_set": True}
  )

  def save(self, folder: Path) -> None:
    """Writes `generator.json`."""
    fields = {**dataclasses.asdict(self), "format_version": FORMAT_VERSION}
    artifacts.write_json(Path(folder) / SPEC, fields)

  @classmethod
  def load(cls, folder: Path) -> Self:
    """Reads `generator.json`.

    Raises:
      ArtifactError: it is damaged, or of another format.
    """
    path = Path(folder) / SPEC
    try:
      fields = artifacts.read_json(path)
      version = fields.pop("format_version")
      if version == FORMAT_VERSION:
        seen = tuple(fields.pop("seen_grades", ()))
        return cls(**fields, seen_grades=seen)
    except (OSError, ValueError, KeyError, TypeError) as error:
      raise ArtifactError(f"{path} is damaged: {error!r}.") from error
    raise ArtifactError(
      f"{path} has format {version}; this genret reads {FORMAT_VERSION}."
    )


def fold_folder(folder: Path, fold: int) -> Path:
  """Names the weights of a fold within a generator."""
  return folder / f"fold_{fold}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
  """What is wanted of a generator.

  Attributes:
    how: of the draws.
    grades: a set of queries for each of these; none asks for no grade.
    duplicates: "keep" leaves what is drawn as it is. "refill" leaves a query
      out that a document has already, and draws again for the documents that
      lack some.
    rounds: with "refill", how often at most.
    seed: of the draws. Those of a document follow from this and its row.
  """

  how: SamplingConfig = SamplingConfig()
  grades: tuple[int, ...] = ()
  duplicates: Literal["keep", "refill"] = "keep"
  rounds: int = 4
  seed: int = 0

  def __post_init__(self):
    if self.duplicates not in ("keep", "refill"):
      raise ConfigError(
        f"duplicates is {self.duplicates!r}; expected 'keep' or 'refill'."
      )
    if len(set(self.grades)) < len(self.grades):
      raise ConfigError(
        f"grades are {list(self.grades)}, and some stand there twice; expected"
        " each once. NUM_QUERIES says how many queries each has."
      )
    for name, least in (("rounds", 1), ("seed", 0)):
      if getattr(self, name) < least:
        raise ConfigError(
          f"{name} is {getattr(self, name)}; expected {least} or more."
        )


@dataclasses.dataclass(kw_only=True, eq=False)
class _Wanted:
  """The queries of a document, for a grade or none, as they come in."""

  row: int
  docno: str
  ids: list[int]
  grade: int | None
  last: bool  # of the document's grades
  key: Key[Array, ""]
  found: list[Drawn] = dataclasses.field(default_factory=list)
  seen: set[str] = dataclasses.field(default_factory=set)


class Generator:
  """Makes the queries of documents.

  All models are in memory at once.

  Args:
    spec: of the models.
    samplers: for each fold, its model.
    name: stands in every query; " fold f" follows it where there are folds.
    vocabulary: the name of the one that documents are read in.
    request: what is wanted.

  Raises:
    ConfigError: a grade is asked of models that know of none or never saw
      it, or none is asked of those that do.
  """

  def __init__(
    self,
    spec: GeneratorSpec,
    samplers: Sequence[Sampler],
    *,
    name: str,
    vocabulary: str,
    request: Request,
  ):
    if bool(request.grades) != spec.grades:
      raise ConfigError(
        "This generator was told the grade of every pair; ask for one or more"
        " with GRADES (--grades=2)."
        if spec.grades
        else "This generator was told of no grades and cannot be asked for"
        f" {list(request.grades)}; train one with --grades."
      )
    unseen = sorted(set(request.grades) - set(spec.seen_grades))
    if spec.seen_grades and unseen:
      raise ConfigError(
        f"This generator was trained on grades {list(spec.seen_grades)} and"
        f" cannot be asked for {unseen}; leave them out of GRADES."
      )
    self._spec = spec
    self._samplers = samplers
    self._name = name
    self._vocabulary = text.vocabulary(vocabulary)
    self._request = request

  def making(
    self, collection: Collection
  ) -> Callable[[range, Tally], Iterator[SyntheticQuery]]:
    """Returns what makes the queries of a shard of a collection."""

    def make(rows: range, tally: Tally) -> Iterator[SyntheticQuery]:
      wanted = self._wanted(rows, collection, tally)
      open_ones = wanted
      for number in range(self._rounds):
        self._draw(open_ones, number, tally=tally)
        open_ones = [one for one in open_ones if self._lacks(one)]
      if self._request.duplicates == "refill":
        lacking = sum(map(self._lacks, wanted))
        tally.count("documents with fewer different queries", lacking)
      for one in wanted:
        yield from self._queries(one, tally)

    return make

  @property
  def _rounds(self) -> int:
    return self._request.rounds if self._request.duplicates == "refill" else 1

  def _wanted(
    self, rows: range, collection: Collection, tally: Tally
  ) -> list[_Wanted]:
    """Reads the documents of a shard; those without text are counted."""
    documents = list(collection.documents(rows))
    grades = self._request.grades or (None,)
    found = []
    for row, document, ids in zip(
      rows, documents, self._tokenised(documents), strict=True
    ):
      if not ids:
        tally.count("empty documents")
        tally.done()
        continue
      before = [reversed_pairs.grade_ids(g, self._vocabulary) for g in grades]
      tally.count("truncated documents", int(self._room(before[-1]) < len(ids)))
      seed = jax.random.fold_in(jax.random.key(self._request.seed), row)
      found += [
        _Wanted(
          row=row,
          docno=document.docno,
          ids=self._input(asked, ids),
          grade=grade,
          last=grade == grades[-1],
          key=seed if grade is None else jax.random.fold_in(seed, grade),
        )
        for grade, asked in zip(grades, before, strict=True)
      ]
    return found

  def _tokenised(self, documents: Sequence[Document]) -> list[list[int]]:
    """Returns the bare ids of documents, one more than a model reads."""
    texts = [
      reversed_pairs.document_text(d, with_title=self._spec.title)
      for d in documents
    ]
    room = self._spec.inputs_length
    return self._vocabulary.encode(texts, max_length=room, eos=False)

  def _room(self, before: Sequence[int]) -> int:
    markers = len(self._vocabulary.start_ids) + 1
    return self._spec.inputs_length - markers - len(before)

  def _input(self, before: list[int], ids: list[int]) -> list[int]:
    start, end = self._vocabulary.start_ids, self._vocabulary.end_id
    return [*start, *before, *ids[: self._room(before)], end]

  def _draw(
    self, wanted: Sequence[_Wanted], number: int, *, tally: Tally
  ) -> None:
    """Draws once for each, documents of like length and one fold at once."""
    groups: dict[tuple[int, int], list[_Wanted]] = defaultdict(list)
    longest = self._spec.inputs_length
    for one in wanted:
      fold = folds.fold_of(one.docno, self._spec.folds)
      groups[fold, fitting_length(len(one.ids), longest)].append(one)
    for (fold, length), group in sorted(groups.items()):
      asked = [
        Asked(ids=one.ids, key=jax.random.fold_in(one.key, _round(number)))
        if number
        else Asked(ids=one.ids, key=one.key)
        for one in group
      ]
      drawn = self._samplers[fold].draw(asked, length=length)
      for one, queries in zip(group, drawn, strict=True):
        self._take(one, queries, tally)
        if not number and one.last:
          tally.done()

  def _take(self, one: _Wanted, queries: Sequence[Drawn], tally: Tally) -> None:
    """Adds what was drawn to what a document has."""
    for query in queries:
      if not query.text:
        tally.count("empty queries")
        continue
      if self._request.duplicates == "refill" and not self._lacks(one):
        return
      key = normalise_query(query.text)
      if key in one.seen:
        tally.count("duplicates")
        if self._request.duplicates == "refill":
          continue
      one.seen.add(key)
      one.found.append(query)

  def _lacks(self, one: _Wanted) -> bool:
    return len(one.found) < self._request.how.num_queries

  def _queries(self, one: _Wanted, tally: Tally) -> Iterator[SyntheticQuery]:
    name = self._name
    if self._spec.folds > 1:
      name += f" fold {folds.fold_of(one.docno, self._spec.folds)}"
    tally.count("queries", len(one.found))
    for query in one.found:
      yield SyntheticQuery(
        docno=one.docno,
        text=query.text,
        log_probability=query.log_probability,
        generator=name,
        grade=one.grade,
      )


def _round(number: int) -> int:
  """Returns what a later round folds into a key; positions fold less."""
  return 1_000_000 + number
