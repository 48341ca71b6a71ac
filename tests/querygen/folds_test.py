import hashlib

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.querygen import folds

DOCNOS = [f"doc {i}" for i in range(2000)]


def test_a_fold_is_the_hash_of_the_docno():
  number = int.from_bytes(hashlib.sha256(b"d1").digest()[:8], "big")
  assert folds.fold_of("d1", 7) == number % 7
  assert folds.folds_of(["d1", "d2"], 7).tolist() == [
    folds.fold_of(docno, 7) for docno in ("d1", "d2")
  ]


def test_folds_are_of_about_one_size_and_one_fold_has_all():
  counts = np.bincount(folds.folds_of(DOCNOS, 5))
  assert len(counts) == 5 and counts.min() > 340 and counts.max() < 460
  assert not folds.folds_of(DOCNOS, 1).any()


def test_held_out_documents_are_of_all_folds():
  out = folds.held_out(DOCNOS, 0.1)
  assert 140 < out.sum() < 260
  assert set(folds.folds_of(DOCNOS, 5)[out]) == set(range(5))
  more = folds.held_out(DOCNOS, 0.2)
  assert (more | out == more).all()


def test_texts_are_met_in_the_folds_of_all_that_repeat_them(documents):
  found = folds.folds_of_texts(documents, np.array([2, 0, 2]), 3)
  docnos = list(documents.docnos)
  for mine, row in zip(found, (2, 0, 2), strict=True):
    assert np.flatnonzero(mine).tolist() == [folds.fold_of(docnos[row], 3)]


def test_no_fold_is_refused():
  with pytest.raises(ConfigError, match="folds is 0"):
    folds.folds_of(DOCNOS, 0)
