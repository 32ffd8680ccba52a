/* The demo of latent diffusion: one net in pixels and in latents, after as much work.

   No net runs here: `recipes/equal_work_demo.py` has trained both and drawn their pictures;
   they come on a page after a click, in a notebook with the widget. What the model may offer:
     title   what the demo is for
     facts   {captions, shown, size, updates, cost, right, tiles}; absent on a page, which
             loads two files */

import { make, slider } from "../common.js";
import { choice, panel, stripDemo, tileAt } from "../strips.js";

/** The number of a picture: by kind (0 latents, 1 pixels), work, look and caption. */
export const numberOf = ({ captions, shown, updates }, kind, work, look, caption) =>
  ((kind * updates.latents.length + work) * shown.length + look) * captions.length + caption;

const millions = (x) => (x / 1e6).toFixed(1);

/** Builds the controls; returns the nodes that change. */
function build(el, { captions, shown, size, updates, cost }) {
  const caption = choice("Caption", captions);
  const work = slider("Work", 1, updates.latents.length, 1);
  const look = slider("Looks", 1, shown.length, shown.length);
  const kinds = ["Latents", "Pixels"].map((name) =>
    panel(name, "all captions", "the chosen caption", size, captions.length));
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  el.append(
    make("p", {}, "The same net undoes noise in the code of a first stage and in pixels, and " +
      "both were trained for as much work. Give them more, or go back to earlier looks."),
    make("div", { className: "picks" }, make("label", {}, "Caption ", caption)),
    work.row, look.row, make("div", { className: "ways" }, ...kinds.map(({ node }) => node)),
    status,
    make("p", { className: "note" }, `A look costs ${millions(cost.latents)} million ` +
      `multiply-adds in latents and ${millions(cost.pixels)} in pixels; the work of the first ` +
      "stage is not counted. One training of each kind and length, and one draw for each " +
      "caption, with guidance of 2: the shares of the chapter are of five seeds. A program " +
      "counts a picture as right if it reads one object of the asked color and shape."));
  return { caption, work, look, kinds, status };
}

/** Brings the controls to life. */
function run(el, facts) {
  const ui = build(el, facts), { captions, shown, size, updates, right, tiles } = facts;
  function update() {
    const caption = Number(ui.caption.value);
    const [work, look] = [ui.work, ui.look].map(({ input }) => Number(input.value) - 1);
    ui.work.output.textContent = `${updates.latents[work] / updates.latents[0]}×`;
    ui.look.output.textContent = `${shown[look]} of ${shown.at(-1)}`;
    ui.kinds.forEach(({ show }, kind) => {
      const row = captions.map((_, i) =>
        tileAt(tiles, size, numberOf(facts, kind, work, look, i)));
      const name = ["latents", "pixels"][kind];
      show(row, caption, `${updates[name][work]} updates; in the end ${right[name][work]} of ` +
        `${captions.length} right`);
    });
    ui.status.textContent = `“${captions[caption]}” after ${updates.latents[work]} updates in ` +
      `latents and ${updates.pixels[work]} in pixels: believed at look ${shown[look]} of ` +
      `${shown.at(-1)}.`;
  }
  ui.caption.onchange = ui.work.input.oninput = ui.look.input.oninput = update;
  update();
}

export default stripDemo("equal_work", run);
