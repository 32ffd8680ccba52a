/* Runs the demos of the book on its pages.

   <mmdl-demo name="clip" data-state="{...}"> holds a still picture. Where the browser can
   load modules and the site has the runtime, the module demos/<name>/demo.js is given an
   element and a small stand-in for the model that a notebook would give it. A demo that
   needs no runtime has its module in the page as well, for a page opened from a file; one
   with data-needs="files" loads files of its own instead, and no runtime. This
   is a classic script on purpose: opened from a file, it still runs and can say why. */
(() => {
  const script = document.currentScript;
  const here = new URL(".", script.src).href;

  class PageModel {
    constructor(state) {
      this.state = state;
      this.listeners = {};
    }
    get(key) {
      return this.state[key];
    }
    set(key, value) {
      this.state[key] = value;
      for (const listener of this.listeners[`change:${key}`] ?? []) listener();
    }
    on(event, listener) {
      (this.listeners[event] ??= new Set()).add(listener);
    }
    off(event, listener) {
      this.listeners[event]?.delete(listener);
    }
    send() {} // nobody listens on a page
    save_changes() {}
  }

  function obstacle(needs) {
    if (location.protocol === "file:")
      return "This page was opened from a file. To run the demo, serve the folder: " +
        "python -m http.server";
    if (needs !== "files" && script.dataset.runtime !== "yes")
      return "This copy of the book was built without Node, so the demo shows its still " +
        "picture only.";
    return null;
  }

  /** Of a demo's module; a page opened from a file may load none but its own. */
  function address(name, own) {
    if (location.protocol !== "file:") return `${here}demos/${name}/demo.js`;
    return URL.createObjectURL(new Blob([own.textContent], { type: "text/javascript" }));
  }

  class Demo extends HTMLElement {
    async connectedCallback() {
      if (this.started) return;
      this.started = true;
      const still = this.querySelector("figure"), own = this.querySelector("script");
      const place = document.createElement("div");
      this.append(place);
      place.textContent = own ? "" : obstacle(this.dataset.needs) ?? "";
      if (place.textContent) return;
      const name = this.getAttribute("name");
      const model = new PageModel({
        ...JSON.parse(this.dataset.state ?? "{}"),
        files: `${here}demos/${name}/`,
        runtime: `${here}vendor/onnxruntime/`,
      });
      model.on("change:running", () => still?.remove());
      try {
        const module = await import(address(name, own)).catch(() => {
          throw new Error("its script did not come. Is the network there? Then load " +
            "the page again.");
        });
        await module.default.render({ model, el: place });
      } catch (error) {
        place.textContent = `The demo did not start: ${error.message}`;
      }
    }
  }

  // the theme puts the output of a cell into a light box in dark mode; a demo needs none
  const style = document.createElement("style");
  style.textContent = ".text_html:has(> mmdl-demo) { background: none !important; " +
    "color: inherit !important; padding: 0 !important; }";
  document.head.append(style);

  const define = () => customElements.define("mmdl-demo", Demo);
  if (document.readyState !== "loading") define();
  else document.addEventListener("DOMContentLoaded", define);
})();
