"""The generate stage: documents and a generator in, synthetic queries out."""

import dataclasses
from pathlib import Path

from tqdm import tqdm

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import weights
from genret.interop.weights import Weights
from genret.querygen import generator as generator_lib
from genret.querygen import grouped, overlap, shards
from genret.querygen.generator import Generator, GeneratorSpec, Request
from genret.querygen.sampling import Sampler
from genret.querygen.shards import Shards
from genret.tasks import synthetic

STAGE = "generate"
FORMAT_VERSION = 1
SUMMARY = "summary.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerateConfig:
  """What is generated, and in which parts.

  Attributes:
    request: How many queries, how they are drawn, and the seed.
    inputs_length: The most ids of a document. None: as the generator was
      trained, or 384 for weights that came alone.
    title: Whether the title stands before the text. None: as the generator
      was trained, or True.
    dtype: Of activations, "float32" or "bfloat16".
    shard_size: Documents in a shard: what a killed run loses at most.
  """

  request: Request = Request()
  inputs_length: int | None = None
  title: bool | None = None
  dtype: str = "float32"
  shard_size: int = 512

  def __post_init__(self):
    if self.shard_size < 1:
      raise ConfigError(f"shard_size is {self.shard_size}; expected 1 or more.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generated:
  """What was written.

  Attributes:
    folder: The artifact.
    summary: Counts, and the overlap with each split.
    overlap: The same in words.
  """

  folder: Path
  summary: dict[str, object]
  overlap: str


def run(
  config: GenerateConfig,
  collection: Collection,
  generator: Path,
  *,
  out: Path,
  gin_text: str = "",
) -> Generated:
  """Writes the queries of all documents, or finds them written.

  Shards of documents are written into a hidden folder beside `out`; a killed
  run goes on with the first that is missing and ends with the same bytes.

  Args:
    config: What is generated.
    collection: Whose documents are read.
    generator: A folder of `genret generator`, or weights of a T5 that writes
      text, as `genret convert` and `genret pretrain` write them.
    out: The artifact's folder: queries.jsonl and summary.json.
    gin_text: The configuration, for the provenance.

  Raises:
    ArtifactError: `out` holds something else, or there is no generator.
    ConfigError: The generator cannot do what is asked.
  """
  out, generator = Path(out), Path(generator)
  spec = _spec(config, collection, generator)
  recipe = _recipe(config, collection, generator, spec=spec)
  if artifacts.existing(out, recipe) is None:
    parts = Shards.beside(
      out,
      recipe,
      documents=collection.num_documents,
      size=config.shard_size,
    )
    parts.fill(_Maker(config, collection, generator, spec=spec))
    with artifacts.building(out, recipe, gin_text=gin_text) as folder:
      parts.join(folder / synthetic.QUERIES)
      _write_summary(folder, parts.counts(), collection)
  shards.forget(out)
  return _generated(out)


class _Maker:
  """Makes shards; models are loaded for the first that is missing."""

  def __init__(
    self,
    config: GenerateConfig,
    collection: Collection,
    generator: Path,
    *,
    spec: GeneratorSpec,
  ):
    self._config = config
    self._collection = collection
    self._folder = generator
    self._spec = spec
    self._make = None

  def __call__(self, rows: range, tally: shards.Tally):
    """Makes the queries of a shard."""
    if self._make is None:
      self._make = self._opened().making(self._collection)
    return self._make(rows, tally)

  def _opened(self) -> Generator:
    request = self._config.request
    folders = [self._folder]
    if (self._folder / generator_lib.SPEC).is_file():
      folders = [
        generator_lib.fold_folder(self._folder, fold)
        for fold in range(self._spec.folds)
      ]
    samplers = []
    for folder in tqdm(folders, desc="read weights", delay=2.0):
      found = Weights.load(folder)
      model = dataclasses.replace(found.config, dtype=self._config.dtype)
      samplers.append(Sampler(found.tree(), model, request.how))
    return Generator(
      self._spec,
      samplers,
      name=f"t5 {artifacts.identity(self._folder)[:12]}",
      vocabulary=found.config.input_vocabulary,
      request=request,
    )


def _spec(
  config: GenerateConfig, collection: Collection, folder: Path
) -> GeneratorSpec:
  """Returns how the models read documents, once all is known to be there."""
  try:
    manifest = artifacts.load(folder)
  except ArtifactError as error:
    raise ArtifactError(
      f"{error} A generator is made by `genret generator`; weights of another"
      " project come by `genret convert`."
    ) from error
  spec = GeneratorSpec()
  if manifest.stage == generator_lib.STAGE:
    spec = GeneratorSpec.load(folder)
  elif manifest.stage == weights.GENERATOR:
    spec = _of_fold(manifest, collection, folder)
  given = {"inputs_length": config.inputs_length, "title": config.title}
  given = {name: value for name, value in given.items() if value is not None}
  return dataclasses.replace(spec, **given)


def _of_fold(
  manifest: artifacts.Manifest, collection: Collection, folder: Path
) -> GeneratorSpec:
  """Returns how one fold's model reads, unless it saw these very pairs.

  A rung of a ladder has pairs of the collections above it.
  """
  if manifest.arguments["folds"] > 1 and manifest.inputs[
    "collection"
  ] in grouped.identities(collection):
    raise ConfigError(
      f"{folder} is one fold of a generator, and saw the labels of most"
      f" documents of {collection.name!r}; give the folder above it."
    )
  pairs = dict(manifest.arguments["pairs"])
  del pairs["split"]
  seen = ()
  if pairs["grades"]:
    path = folder / generator_lib.FOLD_SUMMARY
    seen = artifacts.read_json(path).get("grades", ())
  return GeneratorSpec(folds=1, **pairs, seen_grades=tuple(seen))


def _recipe(
  config: GenerateConfig,
  collection: Collection,
  generator: Path,
  *,
  spec: GeneratorSpec,
) -> artifacts.Recipe:
  request = dataclasses.asdict(config.request)
  seed = request.pop("seed")
  return artifacts.Recipe(
    stage=STAGE,
    arguments={
      **request,
      "spec": spec,
      "dtype": config.dtype,
      "shard_size": config.shard_size,
    },
    seed=seed,
    inputs={
      "collection": collection.identity,
      "generator": artifacts.identity(generator),
    },
    format_version=FORMAT_VERSION,
  )


def _write_summary(
  folder: Path, counts: dict[str, int], collection: Collection
) -> None:
  path = folder / synthetic.QUERIES
  queries = synthetic.read_queries(path) if counts.get("queries") else ()
  bar = tqdm(
    queries,
    desc="overlap",
    unit=" queries",
    total=counts.get("queries"),
    delay=2.0,
  )
  found = overlap.count(bar, collection)
  artifacts.write_json(
    folder / SUMMARY,
    {
      "documents": collection.num_documents,
      "counts": counts,
      "overlap": overlap.as_json(found),
    },
  )


def _generated(out: Path) -> Generated:
  summary = artifacts.read_json(out / SUMMARY)
  found = {
    split: overlap.Overlap(**one) for split, one in summary["overlap"].items()
  }
  num_queries = summary["counts"].get("queries", 0)
  return Generated(
    folder=out,
    summary=summary,
    overlap=overlap.describe(found, num_queries=num_queries),
  )
