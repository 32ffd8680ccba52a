/* What the demos share whose pictures were drawn before: tiles in one file, rows of them. */

import { bytes, download, make, paint, stage, startButton } from "./common.js";

/** The bytes of a picture, channel by channel, by its number in the file. */
export const tileAt = (tiles, size, number) =>
  tiles.subarray(number * 3 * size * size, (number + 1) * 3 * size * size);

/** A choice among words; its value is their number. */
export function choice(name, words, value = 0) {
  const select = make("select", { attributes: { "aria-label": name } },
    ...words.map((word, i) => make("option", { value: i }, word)));
  select.value = value;
  return select;
}

/** A row of pictures, one of them large below, and a line of text. */
export function panel(name, row, one, size, count) {
  const heading = make("p", { className: "heading" }, name);
  const canvas = (about, width) => make("canvas", { width, height: size,
    attributes: { role: "img", "aria-label": `${name}: ${about}` } });
  const strip = canvas(row, count * size), big = canvas(one, size);
  const told = make("p", { className: "note" });
  /** Shows pictures, and number `at` of them large. */
  function show(pictures, at, text) {
    const pen = strip.getContext("2d", { willReadFrequently: true });
    pictures.forEach((bytes, k) => {
      paint(big, bytes, size);
      pen.drawImage(big, k * size, 0);
    });
    paint(big, pictures[at], size);
    told.textContent = text;
  }
  return { show, node: make("div", {}, heading, strip, big, told) };
}

/** Their look, for a demo's name. */
const stripStyle = (name) => `
.mmdl-${name} select { font: inherit; color: inherit; background: transparent; max-width: 100%;
  border: 1px solid var(--edge); border-radius: 0.4em; padding: 0.25em 0.4em; margin-left: 0.3em; }
.mmdl-${name} select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-${name} option { color: #111; background: #fff; }
.mmdl-${name} label { margin: 0; }
.mmdl-${name} .ways { display: grid; gap: 0.6em 1.4em; max-width: 40em; margin: 0 auto;
  grid-template-columns: repeat(2, minmax(0, 1fr)); }
.mmdl-${name} .ways > * { display: grid; grid-row: span 4; grid-template-rows: subgrid;
  gap: 0.3em; }
.mmdl-${name} canvas { display: block; width: 100%; image-rendering: pixelated;
  border-radius: 0.3em; border: 1px solid var(--edge); box-sizing: border-box; }
.mmdl-${name} .value { text-align: right; }
`;

/** A demo of such pictures: two files on a page after a click, facts in a notebook. */
export const stripDemo = (name, run) => ({
  async render({ model, el }) {
    const root = stage(el, name, model.get("title"), stripStyle(name));
    const known = model.get("facts");
    if (known) return run(root, { ...known, tiles: bytes(known.tiles) });
    startButton(root, model, async () => {
      const files = model.get("files");
      const [tiles, facts] = await Promise.all([download(`${files}tiles.bin`),
        download(`${files}facts.json`)]);
      model.set("running", true);
      run(root, { ...JSON.parse(new TextDecoder().decode(facts)), tiles: new Uint8Array(tiles) });
      root.querySelector("select").focus({ preventScroll: true });
    }, "pictures");
  },
});
