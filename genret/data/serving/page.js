// The page: its address says what is shown, so it can be shared and gone back
// from. q is the query, beams how many, node the prefix that is open.

import { documentsBelow, hitList, markRanks } from "./documents.js";
import { count, decimal, make, percent } from "./make.js";
import { Refusal, ask, useToken } from "./service.js";
import { BeamTree, prefixOf } from "./tree.js";

const HITS = 10;
const element = (id) => document.getElementById(id);
const body = (id) => element(id).querySelector(".body");

let health = null; // what the service is
let shown = null; // the query and beams on the page
let running = new AbortController();
let tree = null;

function address() {
  const given = new URLSearchParams(location.search);
  return {
    q: given.get("q") ?? "",
    beams: Number(given.get("beams")) || health.default_num_beams,
    node: given.get("node"),
  };
}

function go({ q, beams, node }) {
  const next = new URLSearchParams();
  if (q) next.set("q", q);
  if (beams !== health.default_num_beams) next.set("beams", beams);
  if (node) next.set("node", node);
  const search = `?${next}`;
  if (search !== location.search) {
    history.pushState(null, "", next.size ? search : location.pathname);
  }
  show();
}

/** Brings the page to what its address says. */
function show() {
  const { q, beams, node } = address();
  element("query").value = q;
  element("beams").value = String(beams);
  document.title = q ? `${q} – genret` : "genret";
  const wanted = JSON.stringify([q, beams]);
  if (wanted !== shown) {
    shown = wanted;
    search(q, beams);
  }
  showNode(node);
}

function search(q, beams) {
  running.abort();
  running = new AbortController();
  tree = null;
  element("legend").hidden = true;
  element("answers").hidden = !q;
  element("empty").hidden = Boolean(q);
  say();
  if (!q) return;
  const { signal } = running;
  const request = { query: q, num_beams: beams };
  const list = (system) => ask("search", {
    body: { ...request, k: Math.min(HITS, health.max_k), system }, signal,
  });
  const found = [
    pane("model", list("genret"), (answer) => hits("model", answer)),
    health.bm25 ? pane("bm25", list("bm25"), (answer) => hits("bm25", answer))
      : null,
  ];
  pane("beam-tree", ask("explain", { body: request, signal }), drawTree);
  if (health.bm25) compare(found);
}

/** Shows that an answer is awaited, then the answer or why there is none. */
async function pane(id, answer, render) {
  const section = element(id);
  section.setAttribute("aria-busy", "true");
  body(id).replaceChildren(make("div", { class: "loading" }, "Searching…"));
  try {
    const given = await answer;
    body(id).replaceChildren(render(given));
    return given;
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (!(error instanceof Refusal)) throw error;
    body(id).replaceChildren(refused(error));
    if (error.status === 401) element("unlock").hidden = false;
    return null;
  } finally {
    section.removeAttribute("aria-busy");
  }
}

function refused(error) {
  return make(
    "div", { class: "error", role: "alert" },
    make("p", {}, error.message),
    make("button", { type: "button", click: again }, "Try again"),
  );
}

function again() {
  shown = null;
  if (health) show();
  else start();
}

function hits(id, answer) {
  const found = answer.results[0].hits;
  if (id === "model") {
    const took = Math.max(1, Math.round(answer.milliseconds));
    say(`${count(found.length, "document")} in ${took} ms. `, make(
      "a", { href: "#beam-tree" }, "How the model came there"));
  }
  return hitList(found, find);
}

/** Says of the hits of each list where the other has them. */
async function compare(lists) {
  const [model, bm25] = await Promise.all(lists);
  if (!model || !bm25) return;
  markRanks(body("model"), bm25.results[0].hits, "BM25");
  markRanks(body("bm25"), model.results[0].hits, "the model");
}

function say(...parts) {
  element("status").replaceChildren(...parts);
}

function drawTree(explanation) {
  tree = new BeamTree(explanation, openNode);
  element("legend").hidden = false;
  queueMicrotask(() => {
    showNode(address().node)?.element.scrollIntoView({ block: "center" });
  });
  return make("div", { class: "drawing" }, tree.element);
}

function openNode(id) {
  go({ ...address(), node: id });
}

/** Shows where in the tree a hit is, or was lost. */
function find(hit) {
  const node = tree?.nearest(hit);
  if (!node) {
    say(`The tree has no prefix of docid ${hit.docid}.`);
    scrollTo({ top: 0 });
    return;
  }
  openNode(node.id);
  node.element.scrollIntoView({ block: "center", inline: "center" });
  node.element.focus();
}

/** Shows the documents below a prefix, which is returned; null for none. */
function showNode(id) {
  const panel = element("node");
  const node = tree?.select(id);
  panel.hidden = !node;
  panel.dataset.id = node ? node.id : "";
  if (!node) return null;
  const facts = [
    ["probability", percent(node.probability)],
    ["score", `${decimal(node.score)} nats`],
    node.up
      ? ["given its parent", percent(Math.exp(node.score - node.up.score))]
      : null,
    ["documents below", node.documents.toLocaleString("en")],
  ].filter(Boolean);
  panel.replaceChildren(
    make("button", {
      type: "button", class: "plain close", "aria-label": "Close",
      click: () => openNode(null),
    }, "×"),
    make("h3", {}, node.complete ? "Docid " : "Prefix ",
      make("code", {}, prefixOf(node))),
    make("dl", {}, ...facts.flatMap(([name, value]) => [
      make("dt", {}, name), make("dd", {}, value),
    ])),
    make("p", { class: "soft" }, fate(node)),
    ...documentsBelow(node).filter(Boolean),
  );
  return node;
}

function fate(node) {
  if (!node.kept) {
    return "Dropped: better ones filled the beam, so the search does not find"
      + " what lies below.";
  }
  return node.complete ? "Kept: a whole docid."
    : "Kept: the search went on from here.";
}

async function start() {
  element("answers").hidden = true;
  try {
    health = await ask("health");
  } catch (error) {
    say(refused(error));
    if (error.status === 401) element("unlock").hidden = false;
    return;
  }
  say();
  element("about").textContent = [
    count(health.documents, "document"), `${health.scheme} docids`,
    `genret ${health.version}`,
  ].join(" · ");
  element("query").maxLength = health.max_query_characters;
  element("beams").replaceChildren(...health.num_beams.map(
    (number) => make("option", { value: number }, String(number))));
  element("bm25").hidden = !health.bm25;
  show();
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const [q, beams] = [element("query").value, Number(element("beams").value)];
  shown = null;
  if (q.trim()) go({ q, beams, node: null });
});
element("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(element("token").value);
  element("unlock").hidden = true;
  again();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && element("node").contains(event.target)) {
    openNode(null);
  }
});
addEventListener("popstate", show);
start();
