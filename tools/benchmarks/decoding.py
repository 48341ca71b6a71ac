"""Constrained decoding: the index, one selection step, whole searches.

Parts, each with its peers in the same run:

  index      what the trie of many uniform docids costs to build, in CPU and
             memory, and its bytes on the device; beside STATIC's index and a
             trie of nested dicts.
  selection  one step of choosing beams, apart from the model.
  search     queries a second of a whole search, encoder to documents, with a
             T5 of random weights; beside `transformers`' generate with the
             same weights and docids, constrained and not.
  atomic     docids of one symbol: the head a chunk at a time.
  scoring    what renormalised scores change in the ranking of the models that
             a quickstart has trained.
  profile    where the time of one search goes.

Figures of one machine mean little alone: read the ratios.

  python tools/benchmarks/decoding.py --quick
  python tools/benchmarks/decoding.py --part search --documents 20000
"""

import argparse
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import reporting

PARTS = ("index", "selection", "search", "atomic", "scoring", "profile")
PACKAGES = ("jax", "flax", "numpy", "torch", "transformers")


def main(arguments: Sequence[str] | None = None) -> None:
  """Measures and prints."""
  options = _parser().parse_args(arguments)
  checks = []
  for part in options.part or PARTS:
    checks += _part(part)(
      full=options.full,
      documents=options.documents,
      static_checkout=options.static_checkout,
      workdir=options.workdir,
    )
  reporting.finish(checks, packages=PACKAGES)


def _part(name: str) -> Callable[..., list[reporting.Check]]:
  """Imports a part when it is wanted: child processes want none of them."""
  return importlib.import_module(f"decoding_{name}").checks


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--quick", action="store_true", help="under five minutes")
  how.add_argument(
    "--full",
    action="store_true",
    help="more docids, more beams, more repeats; needs 16 GB of memory",
  )
  parser.add_argument(
    "--part",
    choices=PARTS,
    action="append",
    help="measure this part alone; may be given several times",
  )
  parser.add_argument(
    "--documents",
    type=int,
    metavar="N",
    help="documents of every part, instead of the sizes that the targets name",
  )
  parser.add_argument(
    "--static_checkout",
    type=Path,
    metavar="PATH",
    help="a clone of github.com/youtube/static-constraint-decoding; without"
    " it the rows of STATIC say that it is not there",
  )
  parser.add_argument(
    "--workdir",
    type=Path,
    metavar="PATH",
    help="of a quickstart; without it the part scoring says that it is not"
    " there",
  )
  return parser


if __name__ == "__main__":
  main()
