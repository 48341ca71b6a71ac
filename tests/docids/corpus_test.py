from genret.core.collection import Document
from genret.docids.corpus import Listed


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
