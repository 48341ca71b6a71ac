"""A prepared collection as TFDS data sets, which tfds, seqio and t5x read.

In FOLDER/genret_collection lie three configs of one TFDS data set, tfrecord
files in many shards, which `tfds.load("genret_collection/documents",
data_dir=FOLDER)` reads without any code of ours:

  documents    split corpus: row int64, docno, title, text
  queries      split queries: query_id, text
  judgements   a split for each of the qrels: query_id, query (its text),
               docno, row int64, grade int32; one example a judgement

Examples stand in the order of the collection. TFDS's own builders serialise
35 µs an example, spread them by hash, and start again when killed; here a
shard is a range of rows, written whole or not at all, at 10 µs an example.
"""

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from genret.core import artifacts, atomic, chatter, watching
from genret.core.collection import Collection
from genret.core.errors import ConfigError, suggest
from genret.corpora import tfds_parts
from genret.corpora.tfds_parts import (
  FEATURES,
  NAME,
  SHARD_SIZE,
  VERSION,
  Example,
  Part,
  folder,
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with chatter.without(chatter.TENSORFLOW):
  import seqio
  import tensorflow as tf
  import tensorflow_datasets as tfds

  for _kind in ("GPU", "TPU"):  # they are JAX's
    if tf.config.get_visible_devices(_kind):
      tf.config.set_visible_devices([], _kind)

STAGE = "tfds"
FORMAT_VERSION = 1
_FRAME = 16  # bytes around a record: its length and two checksums
_INFO = ("dataset_info.json", "features.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeamConfig:
  """Who writes the documents in parallel.

  Attributes:
    runner: one of Beam's, such as "DirectRunner". Its workers must see the
      collection's folder under the same path.
    options: flags of that runner, such as "--direct_num_workers=8".
  """

  runner: str
  options: tuple[str, ...] = ()


def build(
  collection: Collection,
  out: Path,
  *,
  beam: BeamConfig | None = None,
  gin_text: str = "",
) -> Path:
  """Writes a collection as TFDS data sets, or goes on with it.

  Shards that stand are not written again. The manifest holds the SHA-256 of
  every file; TFDS itself has checksums of downloads only.

  Args:
    collection: what is written; a rung of a ladder is one too.
    out: the artifact's folder, TFDS's `data_dir`.
    beam: writes the documents in parallel; None writes them here. The files
      are the same.
    gin_text: the configuration, for the provenance.

  Returns:
    The folder.

  Raises:
    ArtifactError: `out` holds something else.
    ConfigError: Beam is not installed or has no such runner, or two splits
      have one name in TFDS.
  """
  out, started = Path(out), time.time()
  recipe = artifacts.Recipe(
    stage=STAGE,
    arguments={"name": NAME, "version": VERSION, "shard_size": SHARD_SIZE},
    inputs={"collection": collection.identity},
    format_version=FORMAT_VERSION,
  )
  if artifacts.begin(out, recipe) is not None:
    return out
  parts = [
    tfds_parts.documents_part(collection),
    tfds_parts.queries_part(collection),
    *tfds_parts.judgements_parts(collection),
  ]
  if beam is not None:
    _write_with_beam(beam, collection, out)
  for part in parts:
    _write(part, out)
  for config in FEATURES:
    _write_info(config, [p for p in parts if p.config == config], out)
  atomic.flush_tree(out / NAME)
  artifacts.seal(
    out, recipe, files=_files(parts, out), started=started, gin_text=gin_text
  )
  return out


def open_builder(out: Path, config: str) -> tfds.core.DatasetBuilder:
  """Opens one of the data sets to read it.

  Args:
    out: what `build` returned.
    config: "documents", "queries" or "judgements".

  Returns:
    TFDS's builder; `.as_dataset(split=…)` has the order of the collection.

  Raises:
    ArtifactError: `out` is not finished.
    ConfigError: no such config.
  """
  artifacts.load(out, stage=STAGE, format_version=FORMAT_VERSION)
  if config not in FEATURES:
    raise ConfigError(
      f"There is no config {config!r}.{suggest(config, FEATURES)}"
    )
  return tfds.builder_from_directory(str(folder(out, config)))


class SeqioSource(seqio.TfdsDataSource):
  """One of the data sets as the source of a seqio task.

  Unlike seqio's own, which TFDS refuses to shuffle as the data set is ordered,
  it can be read in order and shuffled.

  Args:
    out: what `build` returned.
    config: "documents", "queries" or "judgements".
  """

  def __init__(self, out: Path, config: str):
    self._builder = open_builder(out, config)
    # In order or not is asked for below; the flag would only warn of it.
    self._builder.info.as_proto.disable_shuffling = False
    super().__init__(
      tfds_name=f"{NAME}/{config}:{VERSION}", tfds_data_dir=str(out)
    )

  def get_dataset(
    self,
    split: str = "train",
    shuffle: bool = True,
    seed: int | None = None,
    shard_info: seqio.ShardInfo | None = None,
    **unused,
  ) -> tf.data.Dataset:
    """Yields the examples, of whole shards where hosts share them.

    Shuffled means shards in a random order, of which sixteen are read in turn;
    seqio's own buffer does the rest.
    """
    del unused
    context = shard_info and tf.distribute.InputContext(
      num_input_pipelines=shard_info.num_shards,
      input_pipeline_id=shard_info.index,
    )
    return self._builder.as_dataset(
      split=split,
      shuffle_files=shuffle,
      read_config=tfds.ReadConfig(
        shuffle_seed=seed,
        interleave_cycle_length=16 if shuffle else 1,
        skip_prefetch=True,
        input_context=context,
      ),
    )


def _files(parts: Iterable[Part], out: Path) -> list[str]:
  """Lists what the manifest vouches for, by its path in the artifact."""
  shards = [p.path(out, i) for p in parts for i in range(p.num_shards)]
  infos = [folder(out, config) / name for config in FEATURES for name in _INFO]
  return [path.relative_to(out).as_posix() for path in (*shards, *infos)]


def _write(part: Part, out: Path) -> None:
  """Writes the shards that are not there yet, one after another."""
  with _progress(part) as progress:
    for number in range(part.num_shards):
      _write_shard(part, out, number)
      progress.update(len(part.shard(number)))


def _progress(part: Part) -> tqdm:
  return tqdm(
    total=part.count,
    desc=f"tfds {part.config} {part.split}",
    unit=" examples",
    delay=2,
    leave=False,
  )


def _watched(part: Part, out: Path) -> contextlib.AbstractContextManager[None]:
  """Shows how far a part is that others write, by the shards that stand."""

  def done() -> int:
    stand = [i for i in range(part.num_shards) if part.path(out, i).exists()]
    return sum(len(part.shard(i)) for i in stand)

  return watching.watched(done, _progress(part))


def _write_shard(part: Part, out: Path, number: int) -> None:
  path = part.path(out, number)
  if path.exists():
    return
  path.parent.mkdir(parents=True, exist_ok=True)
  with (
    atomic.replacing(path) as draft,
    tf.io.TFRecordWriter(str(draft)) as writer,
  ):
    for example in part.examples(part.shard(number)):
      writer.write(serialised(example))


def serialised(example: Example) -> bytes:
  """Returns an example as TFDS's own serialiser would, but in fixed order."""
  features = {
    name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    if isinstance(value, int)
    else tf.train.Feature(
      bytes_list=tf.train.BytesList(value=[value.encode("utf-8")])
    )
    for name, value in example.items()
  }
  made = tf.train.Example(features=tf.train.Features(feature=features))
  return made.SerializeToString(deterministic=True)


def _write_info(config: str, parts: Iterable[Part], out: Path) -> None:
  """Writes what TFDS reads first, and so writes last."""
  final = folder(out, config)
  info = tfds.core.DatasetInfo(
    builder=tfds.core.dataset_info.DatasetIdentity(
      name=NAME,
      version=tfds.core.Version(VERSION),
      data_dir=str(final),
      module_name=__name__,
      config_name=config,
    ),
    description=f"The {config} of a collection that genret prepared.",
    features=tfds.features.FeaturesDict(
      {
        name: tfds.features.Text() if kind is str else kind
        for name, kind in FEATURES[config].items()
      }
    ),
    disable_shuffling=True,
  )
  info.set_file_format("tfrecord")
  info.set_splits(tfds.core.SplitDict([_split_info(p, out) for p in parts]))
  final.mkdir(parents=True, exist_ok=True)
  with atomic.temporary(final / "info") as draft:
    draft.mkdir()
    info.write_to_directory(draft)
    for name in reversed(_INFO):
      os.replace(draft / name, final / name)


def _split_info(part: Part, out: Path) -> tfds.core.SplitInfo:
  numbers = range(part.num_shards)
  sizes = [part.path(out, i).stat().st_size for i in numbers]
  return tfds.core.SplitInfo(
    name=part.split,
    shard_lengths=[len(part.shard(i)) for i in numbers],
    num_bytes=sum(sizes) - _FRAME * part.count,
    filename_template=tfds.core.ShardedFileTemplate(
      data_dir=folder(out, part.config),
      dataset_name=NAME,
      split=part.split,
      filetype_suffix="tfrecord",
    ),
  )


def _write_with_beam(
  config: BeamConfig, collection: Collection, out: Path
) -> None:
  """Has a runner's workers write the shards of the documents."""
  try:
    with chatter.without(chatter.BEAM):
      import apache_beam as beam
      from apache_beam.options.pipeline_options import (
        PipelineOptions,
        StandardOptions,
      )
  except ImportError as error:
    raise ConfigError(
      "Writing with Beam needs the package apache-beam, which is not "
      "installed: pip install 'genret[beam]'"
    ) from error
  known = StandardOptions.KNOWN_RUNNER_NAMES
  if config.runner not in known and "." not in config.runner:
    hint = suggest(config.runner, known)
    raise ConfigError(f"Beam has no runner {config.runner!r}.{hint}")
  part = tfds_parts.documents_part(collection)
  work = functools.partial(
    _write_documents,
    root=str(collection.root.resolve()),
    out=str(out.resolve()),
  )
  # Options are named even where there are none: Beam would read sys.argv.
  options = PipelineOptions(list(config.options))
  with (
    _watched(part, out),
    beam.Pipeline(runner=config.runner, options=options) as pipeline,
  ):
    shards = pipeline | beam.Create(range(part.num_shards))
    shards | beam.Reshuffle() | beam.Map(work)


def _write_documents(number: int, *, root: str, out: str) -> None:
  part = tfds_parts.documents_part(Collection.open(Path(root)))
  _write_shard(part, Path(out), number)
