"""The rows of the study of docid schemes, as data."""

import dataclasses

TREE = ("--gin.NUM_CLUSTERS=30", "--gin.LEAF_SIZE=10")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """A scheme.

  Attributes:
    name: Of the row, and of the scheme's file in gin_configs/docids/.
    settings: Of the scheme, as arguments of `genret docids`.
    study: How it is trained, among the gin files that ship with genret.
    collisions: What becomes of documents that share a docid.
  """

  name: str
  settings: tuple[str, ...] = ()
  study: str = "studies/docids/tldr.gin"
  collisions: str = "extra"

  @property
  def scheme_file(self) -> str:
    """The gin file of the scheme."""
    return f"docids/{self.name}.gin"

  @property
  def arguments(self) -> list[str]:
    """Arguments of `genret docids`."""
    return [
      f"--gin_file={self.scheme_file}",
      *self.settings,
      f"--collisions={self.collisions}",
    ]


ROWS = {
  row.name: row
  for row in (
    Row(name="atomic", study="studies/docids/tldr_atomic.gin"),
    Row(name="naive"),
    Row(name="sequential"),
    Row(name="random"),
    Row(name="semantic", settings=TREE),
    Row(name="semantic_permuted", settings=TREE),
    Row(name="semantic_2d", settings=TREE),
    Row(name="semantic_2d_permuted", settings=TREE),
    Row(name="residual"),
    Row(name="residual_permuted"),
    Row(name="product"),
    Row(name="product_permuted"),
    Row(name="rqvae"),
    Row(name="rqvae_permuted"),
    Row(name="docno", settings=("--gin.UNKNOWN=percent",)),  # of `common/^`
    Row(name="title"),
    Row(name="url"),
    Row(name="keywords"),
  )
}
