"""What t5x reads: our mixtures by name, and queries to search for.

t5x knows a task by the name under which seqio has it, and takes its
vocabularies from it. Training reads `mixtures.build`'s mixture. Inference and
evaluation read the queries of a split, one example each, whose vocabulary
turns the docids that the search found into docnos.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core.collection import Collection
from genret.core.docid_table import EOS, PAD, DocidTable
from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.tasks import mixtures
from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.sources import text_vocabulary

DEPTH = 10


class DocidVocabulary(seqio.PassThroughVocabulary):
  """The docids' vocabulary, which decodes a whole docid to its docno.

  It equals the one that training tasks have. Where documents share a docid
  it names the first; what is no docid is decoded to "".

  Args:
    table: the docids.
  """

  def __init__(self, table: DocidTable):
    super().__init__(table.vocab_size, eos_id=EOS if table.has_eos else None)
    self._table = table

  @functools.cached_property
  def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
    """Returns the docids as byte strings, ascending, and their documents."""
    keys = _keys(np.asarray(self._table.codes))
    order = np.argsort(keys, kind="stable")
    return keys[order], order

  def docnos(self, docids: np.ndarray) -> list[str]:
    """Names the documents of docids [B, T or more], padded with 0."""
    keys, order = self._sorted
    length = self._table.codes.shape[1]
    docids = np.asarray(docids, np.int32)[:, :length]
    missing = length - docids.shape[1]
    wanted = _keys(np.pad(docids, [(0, 0), (0, missing)]))
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return [
      self._table.docnos[order[place]] if keys[place] == key else ""
      for place, key in zip(places, wanted, strict=True)
    ]

  def _decode(self, ids: Sequence[int]) -> str:
    return self.docnos(np.array(ids, np.int32)[None])[0]

  def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
    rows = np.atleast_2d(ids.numpy())
    found = tf.constant(self.docnos(rows))
    return found if ids.shape.rank == 2 else found[0]


def mixture(
  collection: Collection | str,
  docids: DocidTable | str,
  *,
  build: Callable[..., seqio.Mixture] | seqio.Mixture | str,
) -> str:
  """Returns the name of the mixture to train on.

  Args:
    collection: a prepared collection, or its folder.
    docids: its docid table, or the folder of one.
    build: `mixtures.build` with its settings bound; or a mixture, or the
      name of a task or mixture that seqio has.
  """
  if isinstance(build, str):
    return build
  if callable(build):
    build = build(collection, docids)
  return build.name


def queries(
  collection: Collection | str,
  docids: DocidTable | str,
  *,
  split: str = "test",
  input_length: int = 64,
) -> str:
  """Registers the queries of a split as a task; returns its name.

  An example has `inputs`, and beside it what t5x copies to its output:
  `inputs_pretokenized`, `query_id_pretokenized` and `targets_pretokenized`,
  the relevant docnos as JSON. Its `targets`, which t5x asks for, is the docid
  of the first of them.

  Args:
    collection: a prepared collection, or its folder.
    docids: its docid table, or the folder of one.
    split: whose queries.
    input_length: the most ids of a query, EOS included.
  """
  if not isinstance(collection, Collection):
    collection = Collection.open(Path(collection))
  table = docids if isinstance(docids, DocidTable) else _load(docids)
  mixtures.check_same_documents(collection, table)
  content = [collection.identity, mixtures.digest(table), split, input_length]
  digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
  name = f"genret_queries_{split}_{digest}"
  if name in seqio.TaskRegistry.names():
    return name
  examples = list(_examples(collection, table, split=split))
  if not examples:
    raise ConfigError(f"Split {split!r} of {collection.root} has no query.")
  tokens = Tokenizer().encode(
    [example["inputs_pretokenized"] for example in examples],
    max_length=input_length,
  )
  rows = [
    {**example, "inputs": ids}
    for example, ids in zip(examples, tokens, strict=True)
  ]
  seqio.TaskRegistry.add(
    name,
    source=seqio.FunctionDataSource(
      functools.partial(_dataset, rows=rows),
      splits=(split,),
      num_input_examples={split: len(rows)},
    ),
    output_features={
      "inputs": seqio.Feature(text_vocabulary(), add_eos=True),
      "targets": seqio.Feature(DocidVocabulary(table), add_eos=table.has_eos),
    },
    postprocess_fn=_postprocess,
    metric_fns=[ranking],
  )
  return name


def ranking(
  targets: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]
) -> dict[str, float]:
  """Measures lists of docnos, worst first, as t5x orders its decodes.

  >>> ranking([["b"], ["z"]], [["c", "b", "a"], ["x", "y", "z"]])
  {'Success@1': 0.5, 'Success@10': 1.0, 'RR@10': 0.75}

  Args:
    targets: the relevant docnos of each query.
    predictions: the docnos found for it.

  Returns:
    Means over the queries, as `genret evaluate` names them.
  """
  reciprocal = [
    _reciprocal_rank(set(relevant), found[::-1][:DEPTH])
    for relevant, found in zip(targets, predictions, strict=True)
  ]
  return {
    "Success@1": float(np.mean([value == 1 for value in reciprocal])),
    f"Success@{DEPTH}": float(np.mean([value > 0 for value in reciprocal])),
    f"RR@{DEPTH}": float(np.mean(reciprocal)),
  }


def _reciprocal_rank(relevant: set[str], found: Sequence[str]) -> float:
  ranks = (i for i, docno in enumerate(found, 1) if docno in relevant)
  return 1 / next(ranks, np.inf)


def _postprocess(value: Any, *, is_target: bool = False, **_: Any) -> list[str]:
  if is_target:
    return json.loads(value)
  return [value] if isinstance(value, str) else list(value)


def _load(folder: str) -> DocidTable:
  return DocidTable.load(Path(folder))


def _keys(codes: np.ndarray) -> np.ndarray:
  """Turns docids into byte strings of the same order; pads do not count."""
  wide = np.ascontiguousarray(codes.astype(">i4"))
  return wide.view(f"S{4 * codes.shape[1]}")[:, 0]


def _examples(
  collection: Collection, table: DocidTable, *, split: str
) -> Iterator[dict[str, Any]]:
  judged = collection.qrels(split)
  named = list(dict.fromkeys(d for grades in judged.values() for d in grades))
  row = dict(zip(named, collection.docnos.find(named).tolist(), strict=True))
  for query in collection.asked(judged):
    relevant = [
      docno
      for docno, grade in judged[query.query_id].items()
      if grade > 0 and row[docno] >= 0
    ]
    codes = np.asarray(table.codes[row[relevant[0]] if relevant else 0])
    yield {
      "inputs_pretokenized": query.text,
      "query_id_pretokenized": query.query_id,
      "targets_pretokenized": json.dumps(relevant),
      "targets": codes[codes != PAD].tolist(),
    }


def _dataset(
  split: str, shuffle_files: bool, seed: int | None = None, *, rows: list
) -> tf.data.Dataset:
  del split, shuffle_files, seed
  kinds = {name: tf.string for name in rows[0] if name.endswith("tokenized")}
  kinds |= {"inputs": tf.int32, "targets": tf.int32}
  return tf.data.Dataset.from_generator(
    lambda: iter(rows),
    output_signature={
      name: tf.TensorSpec([] if kind == tf.string else [None], kind)
      for name, kind in kinds.items()
    },
  )
