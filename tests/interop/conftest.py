"""What t5x itself has written: see tools/make_t5x_golden.py."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "data" / "t5x_golden.tar.xz"


@pytest.fixture(scope="session")
def t5x_golden(tmp_path_factory):
  folder = tmp_path_factory.mktemp("t5x")
  with tarfile.open(GOLDEN) as file:
    file.extractall(folder, filter="data")
  return folder


@pytest.fixture(scope="session")
def t5x_values(t5x_golden):
  return dict(np.load(t5x_golden / "values.npz"))
