import collections

import numpy as np
import pytest

from genret.tasks import pages
from genret.tasks.pages import EXAMPLE
from genret.tasks.pretraining import BFS, ICT, ISS


def test_the_lead_stands_before_the_first_heading():
  assert [p.row for p in pages.lead(EXAMPLE)] == [4]


def test_sentences_keep_their_documents():
  assert pages.sentences(EXAMPLE.paragraphs, 5) == [
    (4, "The tower stands by the river."),
    (5, "Masons built it of stone."),
    (6, "Visitors climb the stairs every day of summer."),
  ]


def test_targets_are_other_pages():
  assert pages.targets(EXAMPLE) == [9]


def test_items_are_drawn_alike_once_each_and_in_order():
  rng = np.random.default_rng(0)
  drawn = [tuple(pages.drawn("abcd", 2, rng)) for _ in range(6000)]
  assert all(first < second for first, second in drawn)
  counts = collections.Counter(drawn)
  assert len(counts) == 6
  assert all(abs(n - 1000) < 5 * np.sqrt(1000) for n in counts.values())
  assert pages.drawn("ab", 2, rng) == ["a", "b"]
  assert pages.drawn([], 2, rng) == []


def test_words_are_counted_without_splitting_all():
  assert pages.has_words("one two three", 3)
  assert not pages.has_words("one two three", 4)
  assert not pages.has_words("", 1)


def test_tasks_of_one_seed_draw_apart():
  draws = {task(rate=1.0).rng(3).integers(1 << 62) for task in (ISS, ICT, BFS)}
  assert len(draws) == 3
  assert ISS(rate=1.0).rng(3).integers(9) == ISS(rate=2.0).rng(3).integers(9)


def test_tasks_of_the_same_settings_have_other_content():
  first, second = (
    kind(rate=1.0, name="x", **settings).content()
    for kind, settings in ((ICT, {"num_sentences": 1}), (BFS, {"num_pairs": 1}))
  )
  assert (first["kind"], second["kind"]) == ("ICT", "BFS")


@pytest.mark.parametrize("row", [0, 7])
def test_draws_are_functions_of_seed_and_row(row):
  numbers = [ISS(rate=1.0, seed=s).rng(row).random() for s in (0, 0, 1)]
  assert numbers[0] == numbers[1] != numbers[2]
