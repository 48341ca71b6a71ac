"""Documents to queries: which model, how many, what is skipped or cut."""

import dataclasses

import pytest
from tqdm import tqdm

from genret.core.errors import ArtifactError, ConfigError
from genret.core.text import normalise_query
from genret.querygen import folds
from genret.querygen.generator import Generator, GeneratorSpec, Request
from genret.querygen.sampling import Sampler, SamplingConfig
from genret.querygen.shards import Tally

HOW = SamplingConfig(num_queries=4, max_length=3, batch_size=2)
SPEC = GeneratorSpec(inputs_length=64)
REQUEST = Request(how=HOW)


@pytest.fixture(scope="module")
def sampler(model):
  return Sampler(model.params, model.config, HOW)


def generate(samplers, collection, rows=range(5), *, spec=SPEC, **request):
  generator = Generator(
    spec,
    samplers,
    name="t5",
    vocabulary="t5",
    request=dataclasses.replace(REQUEST, **request),
  )
  tally = Tally(tqdm(disable=True))
  return list(generator.making(collection)(rows, tally)), tally.counts


def test_each_document_in_turn_and_what_was_left_out(sampler, documents):
  queries, counts = generate([sampler], documents)
  found = [query.docno for query in queries]
  assert list(dict.fromkeys(found)) == ["short", "long", "swift", "owl"]
  assert len(queries) == counts["queries"] == 16 - counts["empty queries"]
  assert counts["empty documents"] == counts["truncated documents"] == 1
  assert {query.generator for query in queries} == {"t5"}
  assert all(query.log_probability < 0 for query in queries)


def test_a_document_is_the_same_in_every_shard(sampler, documents):
  whole, _ = generate([sampler], documents)
  parts = [
    query
    for rows in (range(2), range(2, 5))
    for query in generate([sampler], documents, rows)[0]
  ]
  assert [query.text for query in whole] == [query.text for query in parts]
  other, _ = generate([sampler], documents, seed=1)
  assert [query.text for query in whole] != [query.text for query in other]


def test_each_document_has_the_model_of_its_fold(model, sampler, documents):
  embedding = -model.params["token_embedder"]["embedding"]
  params = {**model.params, "token_embedder": {"embedding": embedding}}
  other = Sampler(params, model.config, HOW)
  alone = [generate([one], documents)[0] for one in (sampler, other)]
  both, _ = generate(
    [sampler, other], documents, spec=dataclasses.replace(SPEC, folds=2)
  )
  seen = set()
  for query in both:
    fold = folds.fold_of(query.docno, 2)
    seen.add(fold)
    assert query.generator == f"t5 fold {fold}"
    texts = [q.text for q in alone[fold] if q.docno == query.docno]
    assert query.text in texts
  assert seen == {0, 1}


def test_duplicates_are_drawn_again_up_to_a_bound(sampler, documents):
  """Three symbols of the two likeliest make eight texts at the most."""
  request = {"how": dataclasses.replace(HOW, num_queries=40, top_k=2)}
  few = Sampler.__new__(Sampler)
  few.__dict__ |= sampler.__dict__ | {"_how": request["how"]}
  kept, counts = generate([few], documents, range(1), **request)
  assert len(kept) + counts["empty queries"] == 40
  different = {normalise_query(query.text) for query in kept}
  assert counts["duplicates"] == len(kept) - len(different) > 0
  request |= {"duplicates": "refill", "rounds": 2}
  again, counts = generate([few], documents, range(1), **request)
  texts = [normalise_query(query.text) for query in again]
  assert len(set(texts)) == len(texts) >= len(different)
  assert texts[: len(different)] == list(
    dict.fromkeys(normalise_query(query.text) for query in kept)
  )
  assert counts["documents with fewer different queries"] == 1


def test_grades_are_asked_for(sampler, documents):
  spec = dataclasses.replace(SPEC, grades=True)
  queries, _ = generate(
    [sampler], documents, range(1), spec=spec, grades=(2, 0)
  )
  by_grade = {
    grade: [query.text for query in queries if query.grade == grade]
    for grade in (2, 0)
  }
  assert set(map(len, by_grade.values())) <= {3, 4}
  assert by_grade[2] != by_grade[0]
  with pytest.raises(ConfigError, match="ask for one or more"):
    generate([sampler], documents, spec=spec)
  with pytest.raises(ConfigError, match="told of no grades"):
    generate([sampler], documents, grades=(1,))
  spec = dataclasses.replace(spec, seen_grades=(0, 2))
  with pytest.raises(ConfigError, match=r"grades \[0, 2\] and cannot .* \[1\]"):
    generate([sampler], documents, spec=spec, grades=(2, 1))


def test_a_spec_is_written_and_read(tmp_path):
  spec = GeneratorSpec(
    folds=3, grades=True, inputs_length=100, seen_grades=(0, 2)
  )
  spec.save(tmp_path)
  assert GeneratorSpec.load(tmp_path) == spec
  (tmp_path / "generator.json").write_text("{}")
  with pytest.raises(ArtifactError, match="is damaged"):
    GeneratorSpec.load(tmp_path)


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"duplicates": "drop"}, "expected 'keep' or 'refill'"),
    ({"grades": (2, 1, 2)}, "some stand there twice"),
    ({"rounds": 0}, "rounds is 0"),
    ({"seed": -1}, "seed is -1"),
  ],
)
def test_requests_that_cannot_be(wrong, message):
  with pytest.raises(ConfigError, match=message):
    Request(**wrong)
