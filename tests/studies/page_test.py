import html.parser
import re

import pytest

from genret.studies import page
from genret.studies.report_blocks import (
  Cell,
  Gallery,
  Items,
  Line,
  Link,
  Picture,
  Section,
  Table,
)

VOID = {"meta", "path", "use", "br"}


class Outline(html.parser.HTMLParser):
  """Collects ids and links, and sees that tags are closed in order."""

  def __init__(self, text):
    super().__init__()
    self.open, self.ids, self.links = [], [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    found = dict(attrs)
    self.ids += [found["id"]] if "id" in found else []
    if "href" in found and tag == "a":
      self.links.append(found["href"])
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.handle_starttag(tag, attrs)
    if tag not in VOID:
      self.open.pop()

  def handle_endtag(self, tag):
    if tag not in VOID:
      assert self.open.pop() == tag


@pytest.fixture(scope="module")
def outline(made_report):
  return Outline((made_report / "report.html").read_text("utf-8"))


def test_tags_are_closed_and_ids_are_single(outline):
  assert outline.open == []
  assert len(outline.ids) == len(set(outline.ids))


def test_links_lead_somewhere(outline, made_report):
  for link in outline.links:
    if link.startswith("#"):
      assert link[1:] in outline.ids
    else:
      assert (made_report / link).is_file()


def test_every_run_file_is_linked(outline, made_report):
  runs = {
    path.relative_to(made_report).as_posix()
    for path in made_report.rglob("run.trec")
  }
  assert len(runs) == 10 and runs <= set(outline.links)


def test_nothing_comes_from_outside(made_report):
  text = (made_report / "report.html").read_text("utf-8")
  assert "default-src 'none'" in text
  assert not re.search(r"(src|href)=\"(https?:)?//", text)
  assert not re.search(r"@import|url\((?!#)", text)


def test_text_is_no_markup():
  table = Table(
    title="a < b",
    head=["row", "<i>"],
    lines=[
      Line(
        cells=[
          Cell(text="<b>", mark="†"),
          Cell(text="&", href='a "b".trec', note="<"),
        ]
      )
    ],
  )
  blocks = [table, Items(items=[["<u>", Link(text="<s>", href="#x")]])]
  text = page.page(
    "<Study>",
    [Section(title="<One>", anchor="one", blocks=blocks)],
    head=[],
    draw=lambda picture: "",
  )
  assert not re.search(r"<(b|i|u|s|Study|One)>", text)
  assert '<a href="a%20%22b%22.trec">&amp;</a><small>&lt;</small>' in text
  assert '<p class="marks">† under-trained' in text


def test_long_tables_scroll():
  def table(number):
    lines = [Line(cells=[Cell(text="a")])] * number
    return page.table(Table(title="", head=["a"], lines=lines))

  assert 'class="scroll"' in table(page.TALL)
  assert 'class="scroll tall"' in table(page.TALL + 1)


def test_many_plots_are_folded_away():
  table = Table(title="", head=[], lines=[])
  pictures = [Picture(name=n, title=n, table=table) for n in "abcde"]
  gallery = Gallery(title="T", anchor="t", caption="C", pictures=pictures)
  text = page.block(gallery, lambda picture: f"({picture.name})")
  shown, folded = text.split('<details class="more">')
  assert "<summary>2 more plots</summary>" in folded
  assert all(f"({name})" in shown for name in "abc")
  assert all(f"({name})" in folded for name in "de")


def test_other_things_are_no_blocks():
  with pytest.raises(TypeError, match="no block: int"):
    page.block(3, lambda picture: "")


# In a browser.


@pytest.fixture
def opened(open_page, made_report):
  """Returns what opens the report as a file, at a width and in a theme."""
  address = (made_report / "report.html").as_uri()
  return lambda width, theme: open_page(address, width=width, theme=theme)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_the_page_is_readable(opened, made_report, width, theme):
  browser = opened(width, theme)
  assert browser.current_url.startswith("file://")
  assert browser.get_log("browser") == []
  run = browser.execute_script
  assert run("return performance.getEntriesByType('resource').length") == 0
  room = "document.documentElement.{}Width"
  wide = run(f"return [{room.format('scroll')}, {room.format('client')}]")
  assert wide[0] == wide[1] <= width
  plots = run(PLOTS)
  drawn = {path.stem for path in (made_report / "plots").glob("*.svg")}
  assert set(plots) == drawn
  for name, (across, smallest) in plots.items():
    assert 300 <= across <= width and smallest >= 8, name
  dark = run("return getComputedStyle(document.body).backgroundColor")
  assert (dark == "rgb(15, 17, 18)") == (theme == "dark")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(400, "dark"), (1600, "light")])
def test_axe_core_finds_nothing_serious(opened, violations, width, theme):
  assert violations(opened(width, theme)) == []


@pytest.mark.slow
def test_a_click_on_a_column_sorts_its_table(opened):
  browser = opened(1600, "light")
  before, up, down = browser.execute_script(SORTED)
  assert before != up and up == sorted(before) and down == up[::-1]


PLOTS = """
const found = {};
for (const one of document.querySelectorAll("figure")) {
  const svg = one.querySelector("svg");
  const across = svg.getBoundingClientRect().width;
  const scale = across / svg.viewBox.baseVal.width;
  const sizes = [...svg.querySelectorAll("text")].map(
    (text) => scale * parseFloat(getComputedStyle(text).fontSize));
  found[one.id] = [across, Math.min(...sizes)];
}
return found;
"""
SORTED = """
const table = document.querySelector("#results table");
const shown = () => [...table.tBodies[0].rows].map(
  (row) => parseFloat(row.cells[1].textContent));
const found = [shown()];
for (const _ of [1, 2]) {
  table.tHead.rows[0].cells[1].querySelector("button").click();
  found.push(shown());
}
return found;
"""
