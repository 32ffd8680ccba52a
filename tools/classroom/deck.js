// A figure that is higher than its slide is drawn smaller; text never is.
function fit(slide) {
  const figures = slide.querySelectorAll("figure");
  const figure = figures[figures.length - 1];
  if (!figure || figure.style.zoom) return;
  const above = slide.scrollHeight - figure.offsetHeight;
  if (slide.scrollHeight > 710) figure.style.zoom = (700 - above) / figure.offsetHeight;
}
Reveal.on("ready", (event) => fit(event.currentSlide));
Reveal.on("slidechanged", (event) => fit(event.currentSlide));
Reveal.on("pdf-ready", () => document.querySelectorAll(".slides section section").forEach(fit));
