// Documents as they are shown: in a list of hits, and below a prefix.

import { count, decimal, make } from "./make.js";
import { lookUp } from "./service.js";

const SHORT = 300; // characters of a text that a list holds
const LINES = 150; // characters that its two lines hold at any width

/** Two lines of a text, with a button for all of it. */
function passage(docno, text, truncated) {
  const shown = make("p", { class: "text short" }, text);
  if (!truncated && text.length < LINES) return [shown];
  let whole = truncated ? null : text;
  const more = make("button", {
    type: "button", class: "plain", "aria-expanded": "false",
    click: async () => {
      const open = more.getAttribute("aria-expanded") === "true";
      try {
        whole ??= (await lookUp(docno)).text;
      } catch (error) {
        more.replaceWith(make("p", { class: "error" }, error.message));
        return;
      }
      shown.textContent = open ? text : whole;
      shown.classList.toggle("short", open);
      more.setAttribute("aria-expanded", String(!open));
      more.textContent = open ? "Whole text" : "Less";
    },
  }, "Whole text");
  return [shown, more];
}

function entry({ docno, title, text, truncated }, facts) {
  return make(
    "li", { "data-docno": docno },
    make("h3", {}, title || docno),
    make("p", { class: "facts" }, ...facts),
    ...(text ? passage(docno, text, truncated) : []),
  );
}

/** Hits as a list, best first; a click on a docid calls `find(hit)`. */
export function hitList(hits, find) {
  if (!hits.length) {
    return make("p", { class: "soft" }, "No document was found.");
  }
  const docid = (hit) => make("button", {
    type: "button", class: "plain", title: "Find it in the tree",
    click: () => find(hit),
  }, hit.docid);
  return make("ol", { class: "hits" }, ...hits.map((hit) => entry(hit, [
    fact("score", decimal(hit.score)),
    hit.docid ? fact("docid", docid(hit)) : null,
    hit.title ? fact("docno", hit.docno) : null,
  ])));
}

function fact(name, value) {
  return make("span", {}, make("b", {}, `${name} `), value);
}

/** Says beside each hit of a list where another system has it. */
export function markRanks(list, hits, system) {
  const ranks = new Map(hits.map((hit, i) => [hit.docno, i + 1]));
  for (const item of list.querySelectorAll("li")) {
    const rank = ranks.get(item.dataset.docno);
    item.querySelector(".facts").append(make(
      "span", { class: rank ? "rank" : "rank none" },
      rank ? `${system}: ${rank}` : `not in ${system}’s ${hits.length}`,
    ));
  }
}

/** The first documents below a prefix, their texts looked up. */
export function documentsBelow(node) {
  const list = make("ol", { class: "hits" }, ...node.docnos.map((docno) =>
    make("li", { class: "waits" }, docno)));
  [...list.children].forEach(async (item, i) => {
    try {
      const found = await lookUp(node.docnos[i]);
      const short = [...found.text].slice(0, SHORT).join("");
      item.replaceWith(entry({
        ...found, text: short, truncated: short.length < found.text.length,
      }, [
        found.docid ? fact("docid", found.docid) : null,
        found.title ? fact("docno", found.docno) : null,
      ]));
    } catch (error) {
      item.classList.remove("waits");
      item.append(make("p", { class: "error" }, error.message));
    }
  });
  const more = node.documents - node.docnos.length;
  return [list, more > 0
    ? make("p", { class: "soft" }, `and ${count(more, "other")}`) : null];
}
