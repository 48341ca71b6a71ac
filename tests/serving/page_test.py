"""The page: its files, and how it behaves in a browser.

In a browser the service is one of this process, over a model that has learned
nothing. `GENRET_PAGE=http://127.0.0.1:8080/` has the same tests look at a
service that runs already, on any model and collection.
"""

import contextlib
import html.parser
import importlib.resources
import json
import os
import re
import threading
import time
import urllib.parse
import urllib.request

import pytest

PAGE = importlib.resources.files("genret") / "data" / "serving"
VOID = {"meta", "link", "input"}
QUERY = "Which <b>river</b> is it & where?"
BEAMS = (4,)
PATIENCE = 60  # seconds for the page, on a machine with other work
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


# In a browser.


@contextlib.contextmanager
def listening(client):
  """Answers on a port of this machine; yields the address."""
  uvicorn = pytest.importorskip(
    "uvicorn", reason="uvicorn is no part of genret[test]"
  )
  settings = uvicorn.Config(
    client.app, port=0, log_config=None, lifespan="off", ws="none"
  )
  server = uvicorn.Server(settings)
  thread = threading.Thread(target=server.run)
  thread.start()
  try:
    while not server.started:
      assert thread.is_alive()
      time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
  finally:
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def address(request):
  """Where the page is."""
  if "GENRET_PAGE" in os.environ:
    yield os.environ["GENRET_PAGE"]
    return
  request.getfixturevalue("index").warm_up(BEAMS)
  make_client = request.getfixturevalue("make_client")
  with listening(make_client(query_characters=200, beams=BEAMS)) as found:
    yield found


def ask(address, path, body=None):
  """Asks the service itself, without the page."""
  request = urllib.request.Request(
    address + path,
    data=json.dumps(body).encode() if body else None,
    headers={"Content-Type": "application/json"},
  )
  with urllib.request.urlopen(request, timeout=PATIENCE) as response:
    return json.load(response)


class Seen:
  """The page in a browser."""

  def __init__(self, browser):
    self.browser = browser
    self.run = browser.execute_script

  def wait(self, condition, *given):
    """Waits until a JavaScript expression is true; returns its value."""
    until = time.monotonic() + PATIENCE
    while not (found := self.run(f"return {condition}", *given)):
      assert time.monotonic() < until, f"{condition}: {self.text('body')}"
      time.sleep(0.05)
    return found

  def settle(self):
    """Waits until nothing is awaited."""
    self.wait("beams.options.length")
    self.wait("!document.querySelector('[aria-busy], .waits')")
    return self

  def text(self, selector):
    return self.run(
      "return document.querySelector(arguments[0]).innerText", selector
    )

  def texts(self, selector):
    return self.run(
      "return [...document.querySelectorAll(arguments[0])].map("
      "(one) => one.textContent)",
      selector,
    )

  def nodes(self):
    return self.run(NODES)

  def given(self):
    """What the address of the page says."""
    parts = urllib.parse.urlsplit(self.browser.current_url)
    return dict(urllib.parse.parse_qsl(parts.query))

  def press(self, *names):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    for name in names:
      key = getattr(Keys, name, name)
      ActionChains(self.browser).send_keys(key).perform()

  def network(self, **conditions):
    """Sets how the network is, as `Network.emulateNetworkConditions` has."""
    self.browser.execute_cdp_cmd("Network.enable", {})
    usual = {"offline": False, "latency": 0}
    usual |= {"downloadThroughput": -1, "uploadThroughput": -1}
    self.browser.execute_cdp_cmd(
      "Network.emulateNetworkConditions", usual | conditions
    )


NODES = """
return [...document.querySelectorAll("[role=treeitem]")].map((one) => ({
  id: one.dataset.id, kept: !one.classList.contains("dropped"),
  complete: one.classList.contains("complete"),
  label: one.getAttribute("aria-label"),
  level: Number(one.getAttribute("aria-level")),
  box: one.querySelector("rect").getBoundingClientRect().toJSON(),
}));
"""


@pytest.fixture
def opened(open_page, address):
  """Returns what opens the page with parameters of its address."""
  seen = []

  def open_it(width=1280, theme="light", **given):
    query = urllib.parse.urlencode(given)
    browser = open_page(f"{address}?{query}", width=width, theme=theme)
    seen.append(Seen(browser))
    return seen[-1].settle()

  yield open_it
  for page in seen:
    page.network()
    page.run("sessionStorage.clear()")


def explained(address):
  health = ask(address, "health")
  beams = health["default_num_beams"]
  return ask(address, "explain", {"query": QUERY, "num_beams": beams})


@pytest.mark.slow
@pytest.mark.parametrize(
  ("width", "theme"),
  [(360, "dark"), (1280, "light"), (2560, "dark"), (3840, "light")],
)
def test_the_page_fits_and_asks_nobody_else(opened, address, width, theme):
  page = opened(width, theme, q=QUERY)
  assert page.browser.get_log("browser") == []
  asked = page.run(
    "return performance.getEntriesByType('resource').map((one) => one.name)"
  )
  assert len(asked) >= 9 and all(one.startswith(address) for one in asked)
  room = page.run(
    "const {scrollWidth, clientWidth} = document.documentElement;"
    "return [scrollWidth, clientWidth]"
  )
  assert room[0] == room[1] <= width
  smallest = page.run(
    "return Math.min(...[...document.querySelectorAll('body *')].map("
    "(one) => parseFloat(getComputedStyle(one).fontSize)))"
  )
  assert smallest >= 13
  back = page.run("return getComputedStyle(document.body).backgroundColor")
  assert (back == "rgb(15, 17, 18)") == (theme == "dark")


@pytest.mark.slow
@pytest.mark.parametrize(
  ("state", "width", "theme"),
  [
    ("empty", 1280, "light"),
    ("answered", 1280, "light"),
    ("answered", 1280, "dark"),
    ("answered", 360, "dark"),
    ("refused", 1280, "dark"),
  ],
)
def test_axe_core_finds_nothing(
  opened, violations, address, *, state, width, theme
):
  long = "x" * (1 + ask(address, "health")["max_query_characters"])
  given = {"empty": {}, "answered": {"q": QUERY}, "refused": {"q": long}}
  page = opened(width, theme, **given[state])
  if state == "answered":
    page.run(
      "document.querySelector('.prefix').dispatchEvent(CLICK)".replace(
        "CLICK", "new MouseEvent('click', {bubbles: true})"
      )
    )
    page.settle()
  assert violations(page.browser) == []


@pytest.mark.slow
def test_a_search_shows_what_the_service_answers(opened, address):
  page = opened()
  assert page.run("return answers.hidden && !empty.hidden")
  page.run("query.focus()")
  page.press(QUERY, "ENTER")
  page.wait("!answers.hidden")
  page.settle()
  assert page.given() == {"q": QUERY}
  health = ask(address, "health")
  asked = {"query": QUERY, "num_beams": health["default_num_beams"], "k": 10}
  for system, id in {"genret": "model", "bm25": "bm25"}.items():
    answer = ask(address, "search", asked | {"system": system})
    hits = answer["results"][0]["hits"]
    assert page.texts(f"#{id} h3") == [h["title"] or h["docno"] for h in hits]
    facts = page.texts(f"#{id} .facts")
    for hit, fact in zip(hits, facts, strict=True):
      assert f"{hit['score']:.3f}".replace("-", "−") in fact
      assert f"docid {hit['docid']}" in fact and hit["docno"] in fact
    found = [one.rstrip("…") for one in page.texts(f"#{id} .text")]
    assert found == [hit["text"] for hit in hits if hit["text"]]


@pytest.mark.slow
def test_the_tree_is_that_of_the_search(opened, address):
  explanation = explained(address)
  page = opened(q=QUERY)
  shown = {node["id"]: node for node in page.nodes()}
  said = {n["id"]: n for level in explanation["levels"] for n in level["nodes"]}
  assert shown.keys() == said.keys()
  for id, node in said.items():
    assert shown[id]["kept"] == node["kept"]
    assert shown[id]["complete"] == node["complete"]
    if node["parent"]:
      parent = shown[node["parent"]]
      assert parent["box"]["right"] < shown[id]["box"]["left"]
      assert parent["level"] + 1 == shown[id]["level"]
      assert parent["box"]["top"] <= shown[id]["box"]["top"]
  boxes = sorted((n["box"]["left"], n["box"]["top"]) for n in shown.values())
  for one, other in zip(boxes, boxes[1:], strict=False):
    assert one[0] != other[0] or other[1] - one[1] >= 24  # none on another


@pytest.mark.slow
def test_a_prefix_opens_its_documents_and_back_closes_it(opened, address):
  explanation = explained(address)
  node = explanation["levels"][0]["nodes"][0]
  page = opened()
  page.run("query.value = arguments[0]; form.requestSubmit()", QUERY)
  page.wait("!answers.hidden")
  page.settle()
  find = f"document.querySelector('[data-id=\"{node['id']}\"]')"
  page.run(f"{find}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
  page.wait("!node.hidden")
  page.settle()
  assert page.given() == {"q": QUERY, "node": node["id"]}
  found = [ask(address, "documents/" + quote(d)) for d in node["docnos"]]
  assert page.texts("#node li h3") == [d["title"] or d["docno"] for d in found]
  assert f"{node['documents']:,}" in page.text("#node dl")
  page.browser.refresh()
  page.settle()
  assert page.run(f"return {find}.classList.contains('selected')")
  page.browser.back()
  page.wait("node.hidden")
  assert page.given() == {"q": QUERY} and page.nodes()
  page.browser.back()
  page.wait("answers.hidden && !empty.hidden")
  assert page.given() == {}
  page.browser.forward()
  page.wait("!answers.hidden")
  page.settle()
  assert len(page.nodes()) == sum(
    len(level["nodes"]) for level in explanation["levels"]
  )


def quote(docno):
  return urllib.parse.quote(docno, safe="")


@pytest.mark.slow
def test_the_tree_is_walked_by_keys(opened):
  page = opened(q=QUERY)
  here = "document.activeElement.dataset.id"
  nodes = page.nodes()
  first = [node["id"] for node in nodes if node["level"] == 1]
  page.run("[...results.querySelectorAll('button')].at(-1).focus()")
  page.press("TAB")
  assert page.run(f"return {here}") == first[0]
  for key, wanted in [
    ("ARROW_DOWN", first[1]),
    ("ARROW_UP", first[0]),
    ("END", first[-1]),
    ("HOME", first[0]),
    ("ARROW_LEFT", first[0]),  # there is nothing before it
  ]:
    page.press(key)
    assert page.run(f"return {here}") == wanted, key
  if any(node["level"] == 2 for node in nodes):
    page.press("ARROW_RIGHT")
    assert page.run(f"return {here}").startswith(first[0] + ".")
    page.press("ARROW_LEFT")
  page.press("ENTER")
  assert page.wait("!node.hidden && node.dataset.id") == first[0]
  assert page.run(f"return {here}") == first[0]
  page.press("ESCAPE")
  page.wait("node.hidden")
  assert page.given() == {"q": QUERY}


@pytest.mark.slow
def test_in_a_small_window_the_sheet_covers_no_focus(opened):
  page = opened(360, q=QUERY)
  page.run("document.querySelector('.prefix').focus()")
  page.press("ENTER")
  page.wait("!node.hidden")
  page.settle()
  for key in ["END", "HOME"]:
    page.press(key)
    page.wait(UNCOVERED)
  page.press("ESCAPE")
  page.wait("node.hidden")


UNCOVERED = """(() => {
  const own = document.activeElement.getBoundingClientRect();
  const sheet = node.getBoundingClientRect();
  return document.activeElement.matches(".prefix") && own.top >= 0
    && own.bottom <= Math.min(sheet.top, innerHeight);
})()"""


@pytest.mark.slow
def test_a_docid_leads_into_the_tree(opened):
  page = opened(q=QUERY)
  hit = page.run("return document.querySelector('#model li').dataset.docno")
  page.run("document.querySelector('#model .facts button').click()")
  page.wait("!node.hidden")
  page.settle()
  assert page.text("#node h3").startswith("Docid ")
  assert hit in page.run(
    "return [...node.querySelectorAll('li')].map((one) => one.dataset.docno)"
  )


@pytest.mark.slow
def test_what_the_search_lost_is_found_where_it_ended(opened, address):
  page = opened(q=QUERY)
  if not (shown := page.texts("#bm25 .facts button")):
    pytest.skip("BM25 finds nothing for the query in this collection")
  ids = {node["id"] for node in page.nodes()}
  for place, docid in enumerate(shown):
    parts = docid.split(".")
    prefixes = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    wanted = next((p for p in prefixes if p in ids), None)
    page.run(
      "document.querySelectorAll('#bm25 .facts button')[arguments[0]].click()",
      place,
    )
    if wanted is None:
      assert docid in page.text("#status")
    else:
      assert page.wait("!node.hidden && node.dataset.id") == wanted


@pytest.mark.slow
def test_a_refusal_is_one_line_and_can_be_tried_again(opened, address):
  most = ask(address, "health")["max_query_characters"]
  page = opened(q="x" * (most + 1))
  lines = page.texts(".error p")
  assert len(lines) == 3 and all(f"{most:,}" in line for line in lines)
  log = page.browser.get_log("browser")
  assert {entry["source"] for entry in log} == {"network"}  # Chromium's own


@pytest.mark.slow
def test_waiting_is_shown_and_a_service_that_is_gone(opened):
  page = opened()
  page.network(latency=1500)
  page.run("query.value = 'a river'; form.requestSubmit()")
  page.wait("document.querySelectorAll('[aria-busy] .loading').length === 3")
  page.settle()
  page.network(offline=True)
  page.run("query.value = 'a hill'; form.requestSubmit()")
  page.wait("document.querySelectorAll('.error').length === 3")
  assert "does not answer" in page.text(".error p")
  page.network()
  page.run("document.querySelector('.error button').click()")
  page.run("query.value = 'a lake'; form.requestSubmit()")  # the other is left
  page.wait("document.querySelector('#model li')")
  page.settle()
  assert page.texts(".error") == []


@pytest.mark.slow
def test_text_is_shown_as_it_is(opened):
  page = opened(q=QUERY)
  assert page.run("return query.value") == QUERY
  assert page.run("return document.title").startswith(QUERY)
  assert page.run("return document.querySelector('.text b')") is None


@pytest.mark.slow
def test_a_token_is_asked_for(open_page, make_client):
  secret = "a-token-of-some-length"
  with listening(make_client(token=secret, beams=BEAMS)) as address:
    page = Seen(open_page(f"{address}?q=river", width=1280, theme="light"))
    page.wait("!unlock.hidden")
    page.run("token.value = arguments[0]; unlock.requestSubmit()", secret)
    page.wait("document.querySelector('#model li')")
    page.settle()
    assert page.run("return unlock.hidden") and page.texts(".error") == []
    page.browser.refresh()
    page.wait("document.querySelector('#model li')")


@pytest.mark.slow
def test_without_a_collection_there_are_docnos(open_page, make_client, index):
  bare = type(index)(index.retriever)
  with listening(make_client(bare, beams=BEAMS)) as address:
    page = Seen(open_page(f"{address}?q=river", width=1280, theme="light"))
    page.settle()
    assert page.browser.get_log("browser") == []
    docnos = page.run(
      "return [...model.querySelectorAll('li')].map((one) => one.dataset.docno)"
    )
    assert docnos and page.texts("#model h3") == docnos
    assert page.run("return bm25.hidden") and page.nodes()


@pytest.mark.slow
def test_layout_by_hand(opened):
  """Two steps: "2" has two children, "3" none, "4" is dropped."""
  page = opened()
  found = page.browser.execute_async_script(LAYOUT)
  assert found == [
    # id, row, column, width: 16 times the share of the best of the step
    ["2", 0, 0, 16],
    ["2.5", 0, 1, 16],
    ["2.6", 1, 1, 4],
    ["3", 2, 0, 8],
    ["4", 3, 0, 1],
  ]


LAYOUT = """
const done = arguments[0];
const node = (id, parent, probability, kept) => (
  {id, parent, score: Math.log(probability), kept});
import("./static/tree.js").then(({layOut}) => done(layOut([
  {nodes: [node("2", "", 0.5, true), node("3", "", 0.25, true),
           node("4", "", 0.01, false)]},
  {nodes: [node("2.5", "2", 0.4, true), node("2.6", "2", 0.1, false)]},
]).nodes.map((one) => [
  one.id, one.row, one.column, Math.round(1000 * one.width) / 1000])));
"""
