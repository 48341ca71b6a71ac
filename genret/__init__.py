"""Generative retrieval: a T5 model is the whole search index.

Importing this package imports neither JAX nor TensorFlow; names below load
their module when first used (PEP 562).
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_LAZY = {
  "Collection": "genret.core.collection",
  "DocidTable": "genret.core.docid_table",
  "Retriever": "genret.retrieval.generative",
}

__all__ = ["Collection", "DocidTable", "Retriever", "__version__"]


def __getattr__(name: str) -> Any:
  """Loads a public name from its module on first use."""
  if name not in _LAZY:
    raise AttributeError(f"module 'genret' has no attribute {name!r}")
  return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
  return sorted(__all__)
