"""Pack the built site into one archive that opens without a network.

Command: python tools/zip_site.py
Reads _build/html, writes _build/multimodal-deep-learning.zip: the same bytes for the
same site. Unpack it and open index.html.
"""

import sys
import zipfile
from pathlib import Path

BUILD = Path(__file__).resolve().parents[1] / "_build"
NAME = "multimodal-deep-learning"


def pack(site: Path, target: Path) -> int:
    """Write the archive and return the number of its files; source maps stay out.

    Raises:
        FileNotFoundError: the site has not been built.
    """
    if not (site / "index.html").exists():
        raise FileNotFoundError(f"expected the built site in {site}: run `make book`.")
    files = sorted(
        path
        for path in site.rglob("*")
        if path.is_file() and path.suffix != ".map" and path.name != ".buildinfo"
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files:
            inside = f"{NAME}/{path.relative_to(site).as_posix()}"
            # a fixed date keeps the archive the same from build to build
            entry = zipfile.ZipInfo(inside, date_time=(2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return len(files)


def main():
    target = BUILD / f"{NAME}.zip"
    try:
        count = pack(BUILD / "html", target)
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
