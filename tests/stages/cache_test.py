import functools
import importlib.util
import json

import numpy as np
import pytest

from genret.core import artifacts
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.stages import cache
from genret.stages.cache import CacheConfig
from genret.tasks import feed, mixtures
from genret.tasks.host_tensorflow import seqio
from genret.tasks.indexing import FirstP
from genret.tasks.retrieval import LabelledQueries

MIXTURE = functools.partial(
  mixtures.build,
  tasks=[FirstP(rate=1.0), LabelledQueries(rate=1.0)],
  input_length=33,  # no other test's
)


def test_examples_lie_in_the_cache_and_train_the_same(
  collection, make_docids, tmp_path
):
  docids = make_docids("naive")
  config = CacheConfig(mixture=MIXTURE, seqio=False)
  made = cache.run(config, collection, docids, out=tmp_path / "cache")
  assert made.folders == ()
  stored = sorted((tmp_path / "cache" / "examples").iterdir())
  assert [folder.name.split("-")[0] for folder in stored] == [
    "FirstP",
    "LabelledQueries",
  ]
  counts = [
    json.loads((f / "summary.json").read_text())["num_examples"] for f in stored
  ]
  assert made.num_examples == sum(counts)
  assert all(artifacts.verify(f).inputs for f in stored)
  again = cache.run(config, collection, docids, out=tmp_path / "cache")
  assert again == made

  def batch(mixture):
    options = {"lengths": {"inputs": 64, "targets": 16}, "batch_size": 4}
    return next(feed.training_batches(mixture, **options))

  mapped = batch(made.mixture)
  in_cache = seqio.MixtureRegistry.get(made.mixture)
  seqio.MixtureRegistry.remove(made.mixture)
  for task in in_cache.tasks:
    seqio.TaskRegistry.remove(task.name)
  in_memory = MIXTURE(collection, DocidTable.load(docids))
  assert in_memory.name == made.mixture
  for name, values in batch(in_memory).items():
    assert np.array_equal(values, mapped[name])


@pytest.mark.skipif(
  importlib.util.find_spec("apache_beam") is None,
  reason="apache-beam is not installed",
)
def test_seqio_finds_what_is_cached(collection, make_docids, tmp_path):
  mixture = functools.partial(MIXTURE, input_length=34)
  made = cache.run(
    CacheConfig(mixture=mixture, num_shards=2),
    collection,
    make_docids("naive"),
    out=tmp_path / "cache",
  )
  assert len(made.folders) == 2
  for task in seqio.MixtureRegistry.get(made.mixture).tasks:
    assert (tmp_path / "cache" / "seqio" / task.name) in made.folders
    assert task.get_cached_stats("train")["examples"] == (
      task.source.examples.num_examples
    )


def test_a_name_is_no_mixture_to_cache(collection, make_docids, tmp_path):
  with pytest.raises(ConfigError, match="such as @mixtures.build; 'name'"):
    cache.run(
      CacheConfig(mixture="name"),
      collection,
      make_docids("naive"),
      out=tmp_path,
    )


@pytest.mark.skipif(
  importlib.util.find_spec("tokenizers") is None,
  reason="pip install 'genret[minilm]'",
)
def test_a_cache_holds_several_vocabularies(collection, make_docids, tmp_path):
  docids = make_docids("naive")
  made = {
    name: cache.run(
      CacheConfig(mixture=MIXTURE, vocabulary=name, seqio=False),
      collection,
      docids,
      out=tmp_path / "cache",
    )
    for name in ("t5", "bert_uncased")
  }
  assert len(list((tmp_path / "cache" / "examples").iterdir())) == 4
  for name, cached in made.items():
    mixtures.check_vocabulary(cached.mixture, name)
  assert "bert_uncased" in made["bert_uncased"].description
