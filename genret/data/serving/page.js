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
    history.pushState(null, "", String(next) ? search : location.pathname);
  }
  show();
}

/** Brings the page to what its address says. */
function show() {
  const { q, beams, node } = address();
  document.title = q ? `${q} – genret` : "genret";
  const wanted = JSON.stringify([q, beams]);
  if (wanted !== shown) { // else what is typed meanwhile stays
    shown = wanted;
    element("query").value = q;
    element("beams").value = String(beams);
    search(q, beams);
  }
  showNode(node);
}

function search(q, beams) {
  running.abort();
  running = new AbortController();
  tree = null;
  for (const one of document.querySelectorAll("[aria-busy]")) {
    one.removeAttribute("aria-busy");
  }
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
  const pane = (id, answer, render) => fill(id, { answer, render, signal });
  const model = pane("model", list("genret"), (answer) => {
    const found = answer.results[0].hits;
    const took = Math.max(1, Math.round(answer.milliseconds));
    say(`${count(found.length, "document")} in ${took} ms. `,
      make("a", { href: "#beam-tree" }, "How the model came there"));
    return hitList(found, find);
  });
  pane("beam-tree", ask("explain", { body: request, signal }), drawTree);
  if (!health.bm25) return;
  const bm25 = pane("bm25", list("bm25"),
    (answer) => hitList(answer.results[0].hits, find));
  compare(model, bm25, signal);
}

/**
 * Shows that an answer is awaited, then the answer or why there is none; and
 * nothing once another search has begun.
 */
async function fill(id, { answer, render, signal }) {
  element(id).setAttribute("aria-busy", "true");
  body(id).replaceChildren(make("div", { class: "loading" }, "Searching…"));
  let given = null;
  let content;
  try {
    given = await answer;
    content = signal.aborted ? null : render(given);
  } catch (error) {
    if (signal.aborted) return null;
    if (!(error instanceof Refusal)) console.error(error); // a fault of ours
    content = refused(error);
  }
  if (signal.aborted) return null;
  body(id).replaceChildren(content);
  element(id).removeAttribute("aria-busy");
  return given;
}

function refused(error) {
  if (error.status === 401) element("unlock").hidden = false;
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

/** Says of the hits of each list where the other has them. */
async function compare(model, bm25, signal) {
  const [ours, theirs] = await Promise.all([model, bm25]);
  if (!ours || !theirs || signal.aborted) return;
  markRanks(body("model"), theirs.results[0].hits, "BM25");
  markRanks(body("bm25"), ours.results[0].hits, "the model");
}

function say(...parts) {
  element("status").replaceChildren(...parts);
}

function drawTree(explanation) {
  tree = new BeamTree(explanation, openNode);
  element("legend").hidden = false;
  queueMicrotask(() => {
    const node = showNode(address().node);
    node?.element.scrollIntoView({ block: "center", inline: "center" });
    uncover(node?.element);
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
    say(tree ? `The tree has no prefix of docid ${hit.docid}.`
      : "The tree of beams is not there yet.");
    scrollTo({ top: 0 });
    return;
  }
  openNode(node.id);
  node.element.scrollIntoView({ block: "center", inline: "center" });
  node.element.focus();
}

/** Closes the documents of a prefix; the prefix has the keyboard again. */
function closeNode() {
  openNode(null);
  tree?.current.element.focus();
}

/** Scrolls so that the documents, a sheet in a small window, cover no focus. */
function uncover(own) {
  if (element("node").hidden || !own) return;
  const [a, b] = [own, element("node")].map((e) => e.getBoundingClientRect());
  const apart = a.bottom <= b.top || a.top >= b.bottom || a.right <= b.left;
  if (!apart) scrollBy(0, a.bottom - b.top + 16);
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
    make(
      "div", { class: "head" },
      make("h3", {}, node.complete ? "Docid " : "Prefix ",
        make("code", {}, prefixOf(node))),
      make("button", {
        type: "button", class: "plain", "aria-label": "Close",
        click: closeNode,
      }, "×"),
    ),
    make("dl", {}, ...facts.flatMap(([name, value]) => [
      make("dt", {}, name), make("dd", {}, value),
    ])),
    make("p", { class: "soft" }, fate(node)),
    ...documentsBelow(node).filter(Boolean),
  );
  element("heard").textContent =
    `${prefixOf(node)}: ${count(node.documents, "document")}`;
  uncover(node.element);
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
  const q = element("query").value;
  if (!health || !q.trim()) return;
  const beams = Number(element("beams").value) || health.default_num_beams;
  shown = null;
  go({ q, beams, node: null });
});
element("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(element("token").value);
  element("unlock").hidden = true;
  again();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && element("node").contains(event.target)) {
    closeNode();
  }
});
element("beam-tree").addEventListener("focusin", (event) => {
  if (event.target.closest("svg")) uncover(event.target);
});
addEventListener("popstate", () => health && show());
start();
