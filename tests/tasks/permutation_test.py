import tracemalloc

import numpy as np
import pytest

from genret.tasks.permutation import Permutation


def order(size, seed=0):
  return Permutation(size, np.random.default_rng(seed))


@pytest.mark.parametrize("size", [*range(1, 70), 1000, 4096, 4097, 99_991])
def test_each_number_comes_once(size):
  numbers = order(size)[np.arange(size)]
  assert (np.bincount(numbers, minlength=size) == 1).all()


def test_the_seed_decides():
  places = np.arange(500)
  assert (order(500)[places] == order(500)[places]).all()
  assert (order(500)[places] != order(500, seed=1)[places]).sum() > 400


def test_places_may_be_asked_for_in_any_order():
  places = np.array([3, 99, 3, 0])
  assert (order(100)[places] == order(100)[np.arange(100)][places]).all()


def test_every_order_of_three_is_about_as_likely():
  found = [tuple(order(3, seed)[np.arange(3)].tolist()) for seed in range(3000)]
  _, counts = np.unique(found, axis=0, return_counts=True)
  assert len(counts) == 6
  assert ((counts - 500) ** 2 / 500).sum() < 20.5  # p = .001, 5 degrees


def test_neighbours_are_scattered():
  size = 1 << 20
  numbers = order(size)[np.arange(20_000)]
  counts, _ = np.histogram(numbers, bins=100, range=(0, size))
  assert ((counts - 200) ** 2 / 200).sum() < 148.2  # p = .001, 99 degrees
  steps = np.diff(numbers)
  assert abs(np.corrcoef(steps[:-1], steps[1:])[0, 1] + 0.5) < 0.03
  assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03


def test_memory_does_not_grow_with_the_size():
  tracemalloc.start()
  numbers = order(10**15)[np.arange(10**15 - 4096, 10**15)]
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 1 << 20
  assert len(np.unique(numbers)) == 4096
  assert numbers.max() < 10**15
