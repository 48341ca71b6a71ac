import numpy as np
import pytest

from genret.core import token_rows
from genret.core.errors import UserError


def test_pad_fills_up_with_the_id_given():
  padded = token_rows.pad([[5, 6], [], [7]], 3, pad_id=9)
  assert padded.dtype == np.int32
  assert padded.tolist() == [[5, 6, 9], [9, 9, 9], [7, 9, 9]]


def test_pad_refuses_a_row_that_does_not_fit():
  with pytest.raises(UserError, match="Row 1 has 2 ids; 1 fit"):
    token_rows.pad([[1], [2, 3]], 1)


def test_rows_have_room_for_their_markers_and_at_least_one_id():
  token_rows.check(["text"], 2, least=2)
  with pytest.raises(UserError, match="at least 2; 1 came"):
    token_rows.check(["text"], 1, least=2)
  with pytest.raises(UserError, match="at least 1; 0 came"):
    token_rows.check(["text"], 0, least=0)
  with pytest.raises(UserError, match="one string came"):
    token_rows.check("text", 4, least=1)
