import pytest

from genret.studies import report_markdown
from genret.studies.report_blocks import (
  Cell,
  Gallery,
  Heading,
  Items,
  Line,
  Link,
  Paragraph,
  Picture,
  Section,
  Table,
)

LINK = Link(text="0", href="cells/a/run.trec")
TABLE = Table(
  title="All",
  head=["row", "R@1"],
  lines=[
    Line(
      cells=[
        Cell(text="a|b", mark="†"),
        Cell(text="0.5", href="#row-1", note="± 0.1", links=[LINK, LINK]),
      ],
      anchor="row-1",
    )
  ],
)


def test_a_text_has_titles_and_blocks():
  blocks = [
    Paragraph(text=["see ", LINK, " *"]),
    Heading(text="Two", anchor="two"),
    Items(items=[["a"], ["b"]]),
    Items(items=[["c"], ["d"]], ordered=True, first=3),
  ]
  found = report_markdown.markdown(
    "Study", [Section(title="One", anchor="one", blocks=blocks)]
  )
  assert found == (
    "# Study\n\n## One\n\nsee [0](<cells/a/run.trec>) \\*\n\n### Two\n\n"
    "* a\n* b\n\n3. c\n4. d\n"
  )


def test_cells_keep_to_their_columns():
  assert report_markdown.block(TABLE) == (
    "**All**\n\n| row | R@1 |\n| --- | ---: |\n"
    '| <a id="row-1"></a>a\\|b† | [0.5](<#row-1>) ± 0.1'
    " [0](<cells/a/run.trec>) [0](<cells/a/run.trec>) |"
  )


def test_plots_are_pictures():
  picture = Picture(name="sizes", title="By [size]", table=TABLE)
  gallery = Gallery(
    title="Sizes", anchor="sizes", caption="Look.", pictures=[picture] * 2
  )
  one = "![By \\[size\\]](plots/sizes.png)"
  found = report_markdown.block(gallery)
  assert found == f"### Sizes\n\nLook.\n\n{one}\n\n{one}"


def test_other_things_are_no_blocks():
  with pytest.raises(TypeError, match="no block: int"):
    report_markdown.block(3)
