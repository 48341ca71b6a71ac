import collections

import numpy as np

from genret.core.links import Anchor, Page
from genret.tasks import linking


def page(row, size, targets):
  return Page(
    page=str(row),
    title="",
    rows=tuple(range(row, row + size)),
    paragraphs=(),
    anchors=tuple(
      Anchor(paragraph=0, start=0, end=1, row=target) for target in targets
    ),
  )


PAGES = [page(0, 2, [2, 0]), page(2, 1, []), page(3, 3, [2, 0, 2])]


def draw(pages=PAGES, draws=1, seed=0):
  return linking.draw(pages, num_documents=6, num_draws=draws, seed=seed)


def test_pages_that_link_there():
  found = draw()
  assert found.sizes.tolist() == [2, 0, 1, 3, 0, 0]
  assert found.sources[0, 0] == 3  # not itself
  assert found.sources[0, 2] in (0, 3)
  assert found.sources[0, [1, 3, 4, 5]].tolist() == [-1] * 4


def test_the_order_of_pages_does_not_matter():
  for seed in range(8):
    assert np.array_equal(
      draw(seed=seed).sources, draw(PAGES[::-1], seed=seed).sources
    )


def test_each_linking_page_is_as_likely():
  pages = [page(row, 1, [5]) for row in range(5)]
  drawn = draw(pages, draws=5000).sources[:, 5]
  counts = collections.Counter(drawn.tolist())
  assert sorted(counts) == list(range(5))
  assert all(abs(n - 1000) < 5 * np.sqrt(1000) for n in counts.values())
  assert not np.array_equal(
    drawn, draw(pages, draws=5000, seed=1).sources[:, 5]
  )
