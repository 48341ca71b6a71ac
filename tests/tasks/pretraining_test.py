import time

import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError
from genret.core.text import Tokenizer
from genret.tasks import mixtures
from genret.tasks.indexing import DaQ, FirstP, Sentences, Titles
from genret.tasks.pages import EXAMPLE
from genret.tasks.pretraining import BFS, HIP, ICT, ISS, LPS, WLP
from genret.tasks.salient import SalientNgrams, SampledTerms

TOKENIZER = Tokenizer()
ALL = (ISS, LPS, HIP, ICT, BFS, WLP)
MODEL_FREE = (FirstP, DaQ, Sentences, Titles, SampledTerms, SalientNgrams)


def pairs(task, collection):
  return [
    pair
    for block in task.texts(collection)
    for pair in zip(block.documents, block.texts, strict=True)
  ]


def texts_of(collection):
  return [document.text for document in collection.documents()]


def test_iss_reads_sentences_of_their_documents(linked):
  texts = texts_of(linked)
  found = pairs(ISS(rate=1.0, min_words=10, linked=(1.0,)), linked)
  assert {row for row, _ in found} == {3, 4, 5, 6, 2}
  assert all(sentence in texts[row] for row, sentence in found)
  few = pairs(
    ISS(rate=1.0, num_sentences=1, min_words=10, linked=(1.0,)), linked
  )
  assert len(few) == 3  # pages
  assert set(few) < set(found)


def test_linked_documents_are_pairs_of_their_own(linked):
  own = pairs(ISS(rate=1.0, min_words=10, linked=(1.0,)), linked)
  both = pairs(ISS(rate=1.0, min_words=10, linked=(0.0, 0.0, 1.0)), linked)
  assert [pair for pair in both if pair in own] == own
  # The tower links to river and mason, the river to the tower only.
  added = [pair for pair in both if pair not in own]
  by_text = {text: [row for row, t in added if t == text] for _, text in own}
  pages = {
    row: {0: [3, 5], 1: [0], 2: [0, 3]}[p]
    for row, p in enumerate([0, 0, 0, 1, 1, 2, 2])
  }
  for row, text in own:
    assert by_text[text] == pages[row]


def test_how_many_linked_documents_follows_the_shares():
  task = ISS(rate=1.0, linked=(0.5, 0.3, 0.2))
  rng = np.random.default_rng(0)
  counts = np.bincount(
    [len(list(task.with_linked((0, "x"), range(9), rng))) for _ in range(4000)]
  )
  assert counts[1:] / 4000 == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_lps_reads_windows_from_the_top(linked):
  texts = texts_of(linked)
  found = pairs(
    LPS(rate=1.0, window=2, num_windows=1, min_words=5, linked=(1.0,)), linked
  )
  assert found == [
    (0, f"{texts[0]} {texts[1]}"),
    (3, f"{texts[3]} {texts[4]}"),
    (5, f"{texts[5]} {texts[6]}"),
  ]
  long = LPS(rate=1.0, window=1, num_windows=9, min_words=11, linked=(1.0,))
  expected = [(i, t) for i, t in enumerate(texts) if len(t.split()) >= 11]
  assert pairs(long, linked) == expected


def test_hip_reads_around_anchors_of_other_pages(linked):
  texts = texts_of(linked)
  found = pairs(HIP(rate=1.0, num_anchors=9, around=0), linked)
  assert sorted(found) == sorted(
    [
      (3, texts[0]),
      (5, texts[1]),
      (3, texts[1]),
      (0, texts[4]),
      (0, texts[6]),
      (3, texts[6]),
    ]
  )
  around = pairs(HIP(rate=1.0, num_anchors=9), linked)
  assert around[0] == (3, f"{texts[0]} {texts[1]}")
  assert (3, " ".join(texts[:3])) in around
  assert len(pairs(HIP(rate=1.0, num_anchors=1), linked)) == 3


@pytest.mark.parametrize("num_words", [1, 2, 5, 8, 50])
def test_hip_can_cut_to_words_around_the_anchor(num_words):
  [(_, text)] = HIP(rate=1.0, num_words=num_words).pairs(EXAMPLE)
  assert "river" in text
  whole = " ".join(p.text for p in EXAMPLE.paragraphs[:2])
  assert text in whole
  assert len(text.split()) == min(
    num_words, num_words // 2 + len(whole[24:].split()), len(whole.split())
  )


def test_ict_needs_no_links(few):
  texts = texts_of(few)
  found = pairs(ICT(rate=1.0, num_sentences=2), few)
  assert all(sentence in texts[row] for row, sentence in found)
  rows = [row for row, _ in found]
  assert rows == sorted(rows)
  assert max(rows.count(row) for row in set(rows)) == 2


def test_bfs_pairs_the_lead_with_another_passage(linked):
  texts = texts_of(linked)
  drawn = set()
  for seed in range(30):
    drawn.update(pairs(BFS(rate=1.0, seed=seed), linked))
  leads = {0: texts[0].split(". ")[0] + "."}
  assert {row for row, s in drawn if s == leads[0]} == {1, 2}
  assert (4, texts[3]) in drawn  # both are lead, and neither its own body
  assert (3, texts[4]) in drawn
  assert {row for row, s in drawn if s == texts[5]} == {6}
  assert not any(sentence in texts[row] for row, sentence in drawn)


def test_wlp_pairs_the_lead_with_a_passage_that_links_there(linked):
  texts = texts_of(linked)
  drawn = set()
  for seed in range(60):
    drawn.update(pairs(WLP(rate=1.0, seed=seed), linked))
  pages = {"tower": {0, 1, 2}, "river": {3, 4}, "mason": {5, 6}}
  tower = {row for row, s in drawn if s in texts[0]}
  assert tower == pages["river"] | pages["mason"]
  river = {row for row, s in drawn if s in (texts[3], texts[4])}
  assert river == pages["tower"] | pages["mason"]  # not itself
  assert {row for row, s in drawn if s == texts[5]} == pages["tower"]


@pytest.mark.parametrize("kind", ALL)
def test_draws_do_not_change(kind, linked):
  def drawn(**settings):
    return pairs(kind(rate=1.0, **settings), linked)

  assert drawn() == drawn()
  others = [drawn(seed=seed) for seed in range(1, 8)]
  if kind is not HIP:  # which draws of more anchors than it may take
    assert any(other != drawn() for other in others)


@pytest.mark.parametrize("kind", [ISS, LPS, HIP, BFS, WLP])
def test_a_collection_without_links_is_refused(kind, small):
  with pytest.raises(UserError, match="'small' has no links.jsonl: nothing is"):
    pairs(kind(rate=1.0), small)


def test_bfs_says_that_it_needs_passages(new_linked, tmp_path):
  whole = new_linked(
    tmp_path / "whole",
    {
      "a": ([(0, "One page that is one document.")], [(0, 0, 3, "b")]),
      "b": ([(0, "And another one that is.")], []),
    },
  )
  with pytest.raises(ConfigError, match="kilt.read.unit = 'paragraph'"):
    BFS(rate=1.0).examples(whole, TOKENIZER, input_length=32)


def test_a_mixture_takes_them(linked):
  table = DocidTable(
    codes=np.arange(7)[:, None] + 2,
    docnos=linked.docnos,
    vocab_size=9,
    scheme="example",
  )
  tasks = [kind(rate=1.0) for kind in (LPS, HIP, ICT, BFS, WLP)]
  tasks += [ISS(rate=1.0, min_words=5), Titles(rate=1.0)]
  mixture = mixtures.build(linked, table, tasks=tasks, input_length=32)
  assert {task.source.config.name for task in mixture.tasks} == {
    "iss", "lps", "hip", "ict", "bfs", "wlp", "titles"
  }  # fmt: skip
  for task in mixture.tasks:
    [first] = task.get_dataset({"inputs": 32, "targets": 2}).take(1)
    assert first["inputs"][-1] == 1
    assert 2 <= first["targets"][0] < 9


@pytest.fixture(scope="module")
def extremes(new_linked, tmp_path_factory):
  """No words, a title only, 100,000 words in sentences and in one, marks."""
  long = "The tower by the river is as tall as it is old. " * 9000
  return new_linked(
    tmp_path_factory.mktemp("extremes") / "extremes",
    {
      "empty": ([(0, ""), (0, "   ")], []),
      "long": ([(0, long), (1, long)], [(0, 4, 9, "one"), (1, 4, 9, "empty")]),
      "one": (
        [(0, "word " * 100_000), (0, "x" * 100_000)],
        [(0, 0, 4, "long")],
      ),
      "marks": ([(0, "." * 100_000), (0, " " * 100_000 + "\n.")], []),
    },
  )


@pytest.mark.parametrize("kind", [*ALL, *MODEL_FREE])
def test_empty_and_endless_documents(kind, extremes):
  started = time.process_time()
  examples = kind(rate=1.0).examples(extremes, TOKENIZER, input_length=64)
  assert time.process_time() - started < 20
  assert examples.lengths.max() <= 64
  assert examples.num_covered(extremes.num_documents) >= 1
  if kind in (ICT, Sentences):  # the others are skipped, and so counted
    assert set(examples.documents.tolist()) == {2, 3, 4}


@pytest.mark.parametrize(
  ("kind", "settings", "message"),
  [
    (ISS, {"num_sentences": 0}, "num_sentences must be"),
    (ISS, {"min_words": 0}, "min_words must be"),
    (ISS, {"linked": (0.5, 0.4)}, "linked must be probabilities"),
    (ISS, {"linked": ()}, "linked must be probabilities"),
    (LPS, {"linked": (1.5, -0.5)}, "linked must be probabilities"),
    (LPS, {"window": 0}, "window must be"),
    (LPS, {"num_windows": 0}, "num_windows must be"),
    (HIP, {"num_anchors": 0}, "num_anchors must be"),
    (HIP, {"around": -1}, "around must be"),
    (HIP, {"num_words": 0}, "num_words must be"),
    (ICT, {"num_sentences": 0}, "num_sentences must be"),
    (BFS, {"num_pairs": 0}, "num_pairs must be"),
    (WLP, {"num_pairs": 0}, "num_pairs must be"),
    (WLP, {"seed": -1}, "seed must be"),
  ],
)
def test_wrong_settings_are_refused(kind, settings, message):
  with pytest.raises(ConfigError, match=message):
    kind(rate=1.0, **settings)
