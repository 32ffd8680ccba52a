/* The demo of grounding: click a word to ground it, and see what definitions teach.

   No network to load and no kernel to ask. What the model must offer: `title`, what the demo
   is for, and `facts`: `text` and `uses` by word, `layers` by name, `least`, a smallest set. */

import { make, stage } from "../common.js";

const SVG = "http://www.w3.org/2000/svg";
const RADII = [42, 72, 98]; // of the rings, in a box of 210 x 210

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const pair of Object.entries(attributes)) node.setAttribute(...pair);
  node.append(...children);
  return node;
}

/** The words that definitions teach to one who knows some already. */
export function learned(uses, grounded) {
  const known = new Set(grounded), found = [];
  for (let more = [null]; more.length;) {
    more = Object.keys(uses).filter((word) =>
      !known.has(word) && uses[word].every((one) => known.has(one)));
    more.forEach((word) => known.add(word));
    found.push(...more);
  }
  return found;
}

/** How many words would be known if one more were grounded. */
export const gain = (uses, grounded, word) => learned(uses, [...grounded, word]).length;

/** The word that teaches most besides those grounded; of equal ones the most used. */
export function best(uses, grounded) {
  const known = new Set([...grounded, ...learned(uses, grounded)]);
  const users = (word) => Object.values(uses).filter((used) => used.includes(word)).length;
  const left = Object.keys(uses).filter((word) => !known.has(word));
  const rate = (word) => [gain(uses, grounded, word), users(word)];
  const above = (a, b) => a[0] - b[0] || a[1] - b[1];
  return left.reduce((top, word) => !top || above(rate(word), rate(top)) > 0 ? word : top, null);
}

function graph(facts, toggle) {
  const place = {}, dots = {};
  Object.values(facts.layers).forEach((ring, i) => ring.forEach((word, k) => {
    const angle = (2 * Math.PI * (k + 0.5)) / ring.length;
    place[word] = [RADII[i] * Math.sin(angle), -RADII[i] * Math.cos(angle)];
  }));
  const node = svg("svg", { viewBox: "-105 -105 210 210", role: "img" });
  for (const [word, used] of Object.entries(facts.uses))
    for (const one of used) {
      const [[x1, y1], [x2, y2]] = [place[one], place[word]];
      node.append(svg("line", { x1, y1, x2, y2 }));
    }
  for (const [word, [cx, cy]] of Object.entries(place)) {
    dots[word] = svg("circle", { cx, cy, r: 2 }, svg("title", {}, word));
    dots[word].onclick = () => toggle(word);
    node.append(dots[word]);
  }
  return { node, dots };
}

function run(el, facts) {
  const total = Object.keys(facts.uses).length;
  let grounded = [];
  const status = make("p", { className: "status", attributes: { role: "status" } });
  const said = make("p", { className: "note" });
  const toggle = (word) => {
    grounded = grounded.includes(word) ? grounded.filter((w) => w !== word) : [...grounded, word];
    said.textContent = `${word}: ${facts.text[word]}`;
    show();
  };
  const { node, dots } = graph(facts, toggle);
  const buttons = {};
  const rings = Object.entries(facts.layers).map(([name, ring]) => {
    const some = ring.map((word) => {
      buttons[word] = make("button", { type: "button", className: "term" }, word);
      buttons[word].onclick = () => toggle(word);
      return buttons[word];
    });
    return make("fieldset", {}, make("legend", {}, `${name}, ${ring.length} words`), ...some);
  });
  const action = (text, change) => {
    const button = make("button", { type: "button" }, text);
    button.onclick = () => { change(); said.textContent = ""; show(); };
    return button;
  };
  function show() {
    const taught = new Set(learned(facts.uses, grounded));
    for (const [word, button] of Object.entries(buttons)) {
      const state = grounded.includes(word) ? "grounded" : taught.has(word) ? "taught" : "";
      button.setAttribute("aria-pressed", String(state === "grounded"));
      button.title = state === "taught" ? "learned from definitions" : "";
      button.className = `term ${state}`;
      dots[word].setAttribute("class", state);
      dots[word].setAttribute("r", state === "grounded" ? 3.4 : 2);
    }
    const left = total - grounded.length - taught.size;
    const text = `Grounded ${grounded.length}, learned ${taught.size}, unknown ${left}.`;
    status.textContent = left ? text : `${text} All words are known.`;
    node.setAttribute("aria-label", `The dictionary as rings of dots. ${text}`);
  }
  el.append(
    make("p", {}, "Click a word to know it from elsewhere. Definitions then teach each word " +
      "whose whole definition is known. How few words do you need?"),
    make("div", { className: "line" },
      action("A smallest set", () => { grounded = [...facts.least]; }),
      action("The word that teaches most", () => {
        const word = best(facts.uses, grounded);
        grounded = word ? [...grounded, word] : grounded;
      }),
      action("Start again", () => { grounded = []; })),
    status, said, node, ...rings,
    make("p", { className: "note" }, "Large dots and framed words are grounded; colored dots and " +
      "underlined words are learned. The core lies inside, its satellites around it."));
  show();
}

const STYLE = `
.mmdl-grounding svg { display: block; width: 100%; max-width: 26em; height: auto; margin: 0 auto; }
.mmdl-grounding line { stroke: currentColor; stroke-width: 0.25; opacity: 0.12; }
.mmdl-grounding circle { fill: none; stroke: currentColor; stroke-width: 0.7; cursor: pointer;
  pointer-events: all; }
.mmdl-grounding circle:is(.taught, .grounded) { fill: var(--accent); stroke: var(--accent); }
.mmdl-grounding fieldset { border: 1px solid var(--edge); border-radius: 0.4em; margin: 0.6em 0;
  padding: 0.2em 0.6em 0.5em; min-width: 0; display: flex; flex-wrap: wrap; gap: 0.25em; }
.mmdl-grounding legend { font-size: 0.85em; padding: 0 0.3em; width: auto; margin: 0; float: none; }
.mmdl-grounding .line { display: flex; flex-wrap: wrap; gap: 0.4em 0.7em; }
.mmdl-grounding .term { padding: 0.15em 0.5em; font-size: 0.9em; }
.mmdl-grounding .term.taught { text-decoration: underline; border-color: var(--accent); }
.mmdl-grounding .term.grounded { border-color: var(--accent); font-weight: 700;
  box-shadow: inset 0 0 0 2px var(--accent); }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "grounding", model.get("title"), STYLE);
    model.set("running", true);
    run(root, model.get("facts"));
  },
};
