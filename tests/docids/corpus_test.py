import numpy as np
import pytest

from genret.core.collection import Document
from genret.core.errors import ConfigError, UserError
from genret.docids.corpus import Listed, check_vectors


def test_documents_and_docnos_are_in_the_same_order():
  made = [
    Document(docno="b", title="t", text="x"),
    Document(docno="a", title="", text="y"),
  ]
  corpus = Listed(made)
  assert corpus.docnos == ["b", "a"]
  assert list(corpus.documents()) == list(corpus.documents()) == made


def test_documents_by_name_have_no_text():
  [document] = Listed.named(["a"]).documents()
  assert (document.docno, document.contents) == ("a", "")


def test_vectors_are_counted():
  vectors = np.eye(2)
  corpus = Listed.named("ab")
  assert check_vectors(corpus, vectors, scheme="Some") is vectors
  with pytest.raises(ConfigError, match="Some docids need .*genret embed"):
    check_vectors(corpus, None, scheme="Some")
  with pytest.raises(UserError, match="2 rows .* 1 documents"):
    check_vectors(Listed.named("a"), vectors, scheme="Some")
