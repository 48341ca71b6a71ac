// The tree of beams: where its prefixes lie, and how it is drawn and walked.
// Lengths are pixels at a root font of 16, and grow with that font.

import { count, draw, percent, shorten } from "./make.js";

const ROW = 29; // from one prefix to the next below it
const TOP = 52; // for the heads of steps
const TALL = 24; // a prefix
const GAP = 64; // between two steps
const NARROW = 36; // the same in a small window, or of more than MANY
const MANY = 8; // steps
const SMALL = 800; // a window
const START = 24; // the empty prefix at the left
const TITLE = 32; // characters of a document's title
const LABEL = 16; // characters of a symbol
const WIDEST = 16; // an edge
const FONT = "13px";

/**
 * Lays out the levels of an explanation.
 *
 * Siblings stand best first, kept ones before dropped ones, and a prefix stands
 * at the height of its first child: the best is always at the top left, where
 * a small window begins.
 *
 * Returns { nodes, columns, rows }: nodes in the order of a walk through the
 * tree, each with `column`, `row`, `children`, `up` (its parent; null below the
 * root) and `width` of its edge; and what `read` says of columns.
 */
export function layOut(levels) {
  const found = new Map();
  const first = [];
  levels.forEach((level, column) => {
    const best = Math.max(...level.nodes.map((node) => node.score));
    for (const one of level.nodes) {
      const node = { ...one, column, children: [], up: null };
      node.width = Math.max(1, WIDEST * Math.exp(node.score - best));
      found.set(node.id, node);
      node.up = found.get(node.parent) ?? null;
      (node.up ? node.up.children : first).push(node);
    }
  });
  const nodes = [];
  let rows = 0;
  const place = (node) => {
    nodes.push(node);
    node.row = rows;
    if (!node.children.length) rows += 1;
    node.children.sort(bestFirst).forEach(place);
  };
  first.sort(bestFirst).forEach(place);
  return { nodes, rows, columns: levels.length };
}

function bestFirst(a, b) {
  return b.kept - a.kept || b.score - a.score;
}

/**
 * A prefix as people read docids: numbers with dots between, or the text that
 * its pieces make, in which "▁" is a blank. The symbols that end a docid (1)
 * and fill it up (0) are left out.
 */
export function prefixOf(node) {
  const path = [];
  for (let one = node; one; one = one.up) {
    if (one.symbol > 1) path.unshift(one);
  }
  const numbers = path.every((one) => one.label === String(one.symbol));
  const text = path.map((one) => one.label).join(numbers ? "." : "");
  return text.replaceAll("▁", " ").trim();
}

function state(node) {
  return [
    node.kept ? "kept" : "dropped", node.complete ? "complete" : null,
  ].filter(Boolean);
}

/** Docno -> its rank, and its title where no other hit has that. */
function titles(hits) {
  const all = hits.map((hit) => hit.title);
  const name = ({ title, docno }) =>
    title && all.indexOf(title) === all.lastIndexOf(title) ? title : docno;
  return new Map(hits.map((hit, i) => [hit.docno, `${i + 1}. ${name(hit)}`]));
}

/** The drawn tree of an explanation. */
export class BeamTree {
  /** `open(id)` is called when a prefix is chosen, with null for none. */
  constructor(explanation, open) {
    this.open = open;
    this.titles = titles(explanation.hits);
    const { nodes, rows, columns } = layOut(explanation.levels);
    this.nodes = nodes;
    this.byId = new Map(nodes.map((node) => [node.id, node]));
    this.measure(columns);
    const width = this.right;
    const height = TOP + rows * ROW;
    this.element = draw("svg", {
      viewBox: `0 0 ${width} ${height}`, role: "tree",
      "aria-labelledby": "tree-title", "aria-describedby": "keys",
      keydown: (event) => this.walk(event),
    }, this.heads(explanation), this.edges(), ...nodes.map(
      (node) => this.shape(node)));
    this.element.style.width = `${width / 16}rem`;
    this.element.style.height = `${height / 16}rem`;
    this.focusOn(nodes[0], false);
  }

  /** Sets where columns begin, by the widest prefix of each. */
  measure(columns) {
    const ruler = document.createElement("canvas").getContext("2d");
    const family = getComputedStyle(document.body).fontFamily;
    const wide = (text, bold) => {
      ruler.font = `${bold ? 600 : 400} ${FONT} ${family}`;
      return ruler.measureText(text).width;
    };
    this.left = [];
    this.wide = Array(columns).fill(0);
    const gap = columns > MANY || innerWidth < SMALL ? NARROW : GAP;
    let ends = 0;
    for (const node of this.nodes) {
      node.text = shorten(node.label || "–", LABEL);
      node.share = percent(node.probability);
      node.ending = this.ending(node);
      const across = wide(node.text, true) + wide(node.share, false) + 30;
      this.wide[node.column] = Math.max(this.wide[node.column], across);
    }
    let x = START + gap;
    for (const across of this.wide) {
      this.left.push(x);
      x += across + gap;
    }
    for (const node of this.nodes) {
      const from = this.left[node.column] + this.wide[node.column] + 12;
      ends = Math.max(ends, from + wide(node.ending, false));
    }
    this.right = Math.ceil(Math.max(x - gap, ends) + 4);
  }

  /** What stands behind a whole docid: its documents. */
  ending(node) {
    if (!node.complete || node.children.length || !node.docnos.length) {
      return "";
    }
    const found = node.docnos.find((docno) => this.titles.has(docno));
    const name = found ? this.titles.get(found) : node.docnos[0];
    const others = node.documents - 1;
    return shorten(name, TITLE) + (others ? ` +${others}` : "");
  }

  heads({ levels }) {
    const heads = draw("g", { class: "heads", "aria-hidden": "true" });
    heads.append(draw("text", { x: 4, y: 16 }, "start"));
    levels.forEach((level, i) => {
      const kept = level.nodes.filter((node) => node.kept).length;
      heads.append(
        draw("text", { x: this.left[i], y: 16 }, `step ${level.depth}`),
        draw("text", { x: this.left[i], y: 34, class: "soft" },
          `kept ${kept} of ${level.candidates.toLocaleString("en")}`),
      );
    });
    return heads;
  }

  middle(node) {
    return TOP + node.row * ROW + TALL / 2;
  }

  edges() {
    const all = draw("g", { class: "edges", "aria-hidden": "true" });
    const from = (node) => node
      ? [this.left[node.column] + this.wide[node.column], this.middle(node)]
      : [START, TOP + TALL / 2];
    const drawn = [...this.nodes].sort((a, b) => a.kept - b.kept);
    for (const node of drawn) {
      const [x, y] = from(node.up);
      const [to, down] = [this.left[node.column], this.middle(node)];
      const half = (x + to) / 2;
      node.edge = draw("path", {
        class: state(node).join(" "), "stroke-width": node.width.toFixed(2),
        d: `M${x} ${y}C${half} ${y} ${half} ${down} ${to} ${down}`,
      });
      all.append(node.edge);
    }
    all.append(draw("circle", { cx: START - 8, cy: TOP + TALL / 2, r: 8 }));
    return all;
  }

  shape(node) {
    const x = this.left[node.column];
    const wide = this.wide[node.column];
    const y = this.middle(node) + 4.5;
    node.element = draw(
      "g", {
        class: ["prefix", ...state(node)].join(" "), role: "treeitem",
        tabindex: -1, "aria-level": node.column + 1, "aria-selected": "false",
        "aria-label": [
          prefixOf(node), ...state(node), node.share,
          count(node.documents, "document"), node.ending,
        ].filter(Boolean).join(", "),
        "data-id": node.id,
        click: () => this.choose(node),
      },
      draw("rect", {
        x, y: this.middle(node) - TALL / 2, width: wide, height: TALL,
        rx: node.complete ? 2 : TALL / 2,
      }),
      draw("text", { x: x + 10, y, class: "symbol" }, node.text),
      draw("text", { x: x + wide - 10, y, class: "share" }, node.share),
    );
    if (node.ending) {
      node.element.append(
        draw("text", { x: x + wide + 12, y, class: "ending" }, node.ending));
    }
    return node.element;
  }

  choose(node) {
    this.focusOn(node, true);
    this.open(node.id);
  }

  /** Makes one prefix the one that Tab reaches. */
  focusOn(node, move) {
    if (!node) return;
    this.current?.element.setAttribute("tabindex", "-1");
    this.current = node;
    node.element.setAttribute("tabindex", "0");
    if (move) node.element.focus();
  }

  /** Marks a prefix and the way to it; null for none. */
  select(id) {
    for (const one of this.element.querySelectorAll(".on, .selected")) {
      one.classList.remove("on", "selected");
      one.setAttribute("aria-selected", "false");
    }
    const node = this.byId.get(id);
    if (!node) return null;
    node.element.classList.add("selected");
    node.element.setAttribute("aria-selected", "true");
    for (let one = node; one; one = one.up) {
      one.element.classList.add("on");
      one.edge.classList.add("on");
    }
    this.focusOn(node, false);
    return node;
  }

  /**
   * Returns the docid of a document, or where the search lost it: the longest
   * prefix that is shown. Undefined for none, and where docids are text.
   */
  nearest({ docno, docid }) {
    const whole = this.nodes.find(
      (node) => node.complete && node.kept && node.docnos.includes(docno));
    if (whole) return whole;
    const path = docid.split(".");
    while (path.length && !this.byId.has(path.join("."))) path.pop();
    return this.byId.get(path.join("."));
  }

  walk(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const node = this.current;
    const column = this.nodes.filter((one) => one.column === node.column);
    const at = column.indexOf(node);
    const goals = {
      ArrowLeft: () => node.up,
      ArrowRight: () => node.children[0],
      ArrowUp: () => column[at - 1],
      ArrowDown: () => column[at + 1],
      Home: () => column[0],
      End: () => column.at(-1),
    };
    if (event.key in goals) this.focusOn(goals[event.key](), true);
    else if (event.key === "Enter" || event.key === " ") this.choose(node);
    else if (event.key === "Escape") this.open(null);
    else return;
    event.preventDefault();
  }
}
