// Elements and numbers as people read them. Text becomes a text node and never
// markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Makes an HTML element; functions among the attributes are listeners. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an SVG element in the same way. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A probability: 41 %, 3.2 %, 0.04 %, <0.01 %. */
export function percent(probability) {
  const value = 100 * probability;
  if (value >= 9.95) return `${value.toFixed(0)} %`;
  if (value >= 0.995) return `${value.toFixed(1)} %`;
  return value >= 0.005 ? `${value.toFixed(2)} %` : "<0.01 %";
}

/** A number with three decimals and a real minus sign. */
export function decimal(value) {
  return value.toFixed(3).replace("-", "−");
}

/** A count with its noun: 1 document, 2,067 documents. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** The first `most` characters of a text, with … where some are left out. */
export function shorten(text, most) {
  const points = [...text];
  return points.length > most
    ? `${points.slice(0, most - 1).join("")}…` : text;
}
