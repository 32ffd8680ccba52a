"""Replace the theme's icon script by one that holds only the icons in use.

The theme ships all of Font Awesome Free as one script: 1.5 MB, more than half of a
page's weight. After the build we look which icons the pages name, take their outlines
from that script and write a small one in its place, beside the license.
"""

import json
import re
import shutil
from pathlib import Path

SCRIPT = "_static/scripts/fontawesome.js"
LICENSE = "_static/vendor/fontawesome/LICENSE.txt"
NAMED = re.compile(r'class="([^"]*\bfa[bsr]?\b[^"]*|[^"]*\bfa-[^"]*)"')
# name: [width, height, [code points and other names], code point, outline]
DEFINITION = re.compile(
    r'"?([\w-]+)"?:\[(\d+),(\d+),\[([^\]]*)\],"[0-9a-f]+","([^"]+)"\]'
)
NOT_AN_ICON = {"fa-solid", "fa-regular", "fa-brands", "fa-lg", "fa-sm", "fa-xs"}
RUN = """(() => {
  const NS = "http://www.w3.org/2000/svg";
  const draw = () => document.querySelectorAll("i[class*=fa-], span[class*=fa-]")
    .forEach((old) => {
      const name = [...old.classList].find((c) => c in ICONS);
      if (!name) return;
      const [width, height, outline] = ICONS[name];
      const svg = document.createElementNS(NS, "svg");
      for (const { name, value } of old.attributes) svg.setAttribute(name, value);
      // as the original script does: the theme's styles count on it
      svg.classList.remove("fa-solid", "fa-brands", "fa-regular", "fas", "fab", "far");
      svg.classList.add("svg-inline--fa");
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("aria-hidden", "true");
      svg.setAttribute("fill", "currentColor");
      const path = document.createElementNS(NS, "path");
      path.setAttribute("d", outline);
      svg.append(path);
      old.replaceWith(svg);
    });
  if (document.readyState !== "loading") draw();
  else document.addEventListener("DOMContentLoaded", draw);
})();
"""


def names_in(folder: Path) -> set[str]:
    """Icon classes, such as `fa-bars`, that the built pages name."""
    found = set()
    for page in folder.rglob("*.html"):
        for classes in NAMED.findall(page.read_text(encoding="utf-8")):
            found |= {c for c in classes.split() if c.startswith("fa-")}
    return found - NOT_AN_ICON


def outlines(script: str, names: set[str]) -> dict[str, list]:
    """Width, height and path of each icon; the last definition in the script wins.

    Raises:
        ValueError: a page names an icon that the script does not define.
    """
    known = {}
    for name, width, height, aliases, path in DEFINITION.findall(script):
        for key in (name, *re.findall(r'"([\w-]+)"', aliases)):
            known[f"fa-{key}"] = [int(width), int(height), path]
    missing = sorted(names - set(known))
    if missing:
        raise ValueError(f"expected icons of the theme's script, got {missing}.")
    return {name: known[name] for name in sorted(names)}


def slim(app, exception):
    """Write the small script over the large one."""
    target = Path(app.outdir) / SCRIPT
    if exception or app.builder.format != "html" or not target.exists():
        return
    script = target.read_text(encoding="utf-8")
    if "const ICONS" in script:
        return
    license = Path(app.outdir) / LICENSE
    license.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(target.with_name(target.name + ".LICENSE.txt"), license)
    icons = outlines(script, names_in(Path(app.outdir)))
    credit = "/* Icons: Font Awesome Free, https://fontawesome.com, CC BY 4.0 */\n"
    target.write_text(
        f"{credit}const ICONS = {json.dumps(icons)};\n{RUN}", encoding="utf-8"
    )


def setup(app):
    app.connect("build-finished", slim)
