import html.parser
import importlib.resources
import re

import pytest

PAGE = importlib.resources.files("genret") / "data" / "serving"
VOID = {"meta", "link", "input"}
# What would make markup or code of text.
MARKUP = re.compile(
  r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser"
  r"|createContextualFragment|setHTML|\beval\b|new Function"
)


def read(name):
  return (PAGE / name).read_text("utf-8")


def scripts():
  return [one.name for one in PAGE.iterdir() if one.name.endswith(".js")]


class Outline(html.parser.HTMLParser):
  """Collects elements, and sees that tags are closed in order."""

  def __init__(self, text):
    super().__init__()
    self.open, self.found = [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.found.append((tag, dict(attrs)))
    if tag not in VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def all(self, attribute):
    return [attrs[attribute] for _, attrs in self.found if attribute in attrs]


@pytest.fixture(scope="module")
def outline():
  return Outline(read("index.html"))


def test_tags_are_closed_and_ids_are_single_and_named(outline):
  ids = outline.all("id")
  assert outline.open == [] and len(ids) == len(set(ids))
  named = outline.all("for") + outline.all("aria-labelledby")
  assert set(named) <= set(ids)
  asked = {
    name
    for script in scripts()
    for name in re.findall(r'element\("([^"]+)"\)', read(script))
  }
  assert asked and asked <= set(ids)


def test_all_that_is_loaded_lies_beside_the_page(outline):
  links = [*outline.all("href"), *outline.all("src")]
  files = [link.removeprefix("static/") for link in links if "/" in link[1:]]
  assert len(files) >= 3
  for name in {*files} - {"./"}:
    assert (PAGE / name).is_file(), name
  for script in scripts():
    for name in re.findall(r'from "([^"]+)"', read(script)):
      assert (PAGE / name.removeprefix("./")).is_file(), name


def test_nothing_comes_from_outside():
  for file in PAGE.iterdir():
    text = read(file.name).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|[\"'(]//|@import|url\(", text), file.name


def test_no_script_or_style_stands_in_the_page(outline):
  """Such would ask for a laxer content security policy."""
  assert not outline.all("style")
  assert not any(name.startswith("on") for _, a in outline.found for name in a)
  assert [a.get("src") for tag, a in outline.found if tag == "script"] == [
    "static/page.js"
  ]
  assert "style" not in {tag for tag, _ in outline.found}


@pytest.mark.parametrize("script", scripts())
def test_text_is_no_markup(script):
  assert not MARKUP.search(read(script))
