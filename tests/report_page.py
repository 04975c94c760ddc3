"""Look at reports with a browser: on a phone, on a screen as wide as A4, and printed.

    python tests/report_page.py                    # as a test: silence but for a line a page
    python tests/report_page.py --keep FOLDER      # keep pages, screenshots and PDFs

The pages are those of a real comparison of a few steps, of a bench of a few gradients, of 24
estimators with made-up numbers, and one with faults put in on purpose, which must all be found.
Needs Chromium on the PATH and says so where there is none.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path

from browser import Browser, found_program
from made_up import comparison as made_up_comparison

from ppvae import IWAE, compare
from ppvae.cli import main as main_of_ppvae
from ppvae.data import load
from ppvae.experiment import find_recipe

PHONE, A4 = (390, 844), (794, 1123)
# A4 without the margins of @page, 15 mm each, at 96 pixels an inch.
PRINTED = (680, 1000)

# What sticks out to the right or left, boxes that scroll by themselves left out; and the pictures.
MEASURE = """(async () => {
  const width = document.documentElement.clientWidth;
  const scrolls = e => ['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX);
  const boxed = e => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
    if (scrolls(p)) return true; return false; };
  const wide = [...document.body.querySelectorAll('*')].filter(e => {
    const r = e.getBoundingClientRect();
    return r.width && !boxed(e) && (r.right > width + 1 || r.left < -1); });
  const images = await Promise.all([...document.images].map(async image => {
    try { await image.decode(); } catch (error) { return {alt: image.alt, loaded: false}; }
    const canvas = document.createElement('canvas');
    canvas.width = Math.min(image.naturalWidth, 800);
    canvas.height = Math.round(canvas.width * image.naturalHeight / image.naturalWidth);
    const pen = canvas.getContext('2d');
    pen.fillStyle = 'white'; pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0, squares = 0, count = pixels.length / 4;
    for (let i = 0; i < pixels.length; i += 4) {
      const grey = (pixels[i] + pixels[i + 1] + pixels[i + 2]) / 3;
      sum += grey; squares += grey * grey; }
    return {alt: image.alt, loaded: image.complete && image.naturalWidth > 0,
            shown: image.clientWidth / image.getAttribute('width'),
            variance: squares / count - (sum / count) ** 2}; }));
  return {scroll: document.documentElement.scrollWidth, width, images,
          wide: wide.map(e => `${e.tagName} ${e.className} ${e.textContent.slice(0, 40)}`)};
})()"""

FAULTY = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">
<body><div style="width: 900px">wide</div><img src="http://127.0.0.1:9/none.png" alt="">
<img alt="blank" width="900" style="max-width: 100%" src="data:image/svg+xml,<svg
xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"></body></html>"""
FAULTS = ("wider than", "asked for", "not loaded", "has no alt", "is blank", "is shrunk")
# Of its own size, at which its words can be read.
LEAST_SHOWN = 0.75


def problems(browser: Browser, url: str, media: str, size: tuple[int, int]) -> list[str]:
    """What is wrong with a page at a width, in words."""
    browser.use_media(media)
    browser.open(url, *size, phone=size == PHONE)
    seen = browser.evaluate(MEASURE)
    found = [f"image {i['alt']!r} is not loaded" for i in seen["images"] if not i["loaded"]]
    found += [f"image {n} has no alt" for n, i in enumerate(seen["images"]) if not i["alt"]]
    there = [image for image in seen["images"] if image["loaded"]]
    found += [f"image {i['alt']!r} is blank" for i in there if i["variance"] < 1]
    found += [f"image {i['alt']!r} is shrunk" for i in there if i["shown"] < LEAST_SHOWN]
    if seen["scroll"] > seen["width"]:
        found.append(f"{seen['scroll']} px, wider than the page, {seen['width']} px")
    found += [f"wider than the page: {each}" for each in seen["wide"]]
    found += [f"asked for {each}" for each in browser.requests() if each != url]
    found += [f"log: {each}" for each in browser.complaints()]
    return found


def look(browser: Browser, page: Path, kept: Path) -> int:
    """Look at a page everywhere; how much is wrong."""
    wrong = 0
    for name, media, size in (("phone", "screen", PHONE), ("A4", "screen", A4)):
        wrong += told(page, name, problems(browser, page.as_uri(), media, size))
        (kept / f"{page.stem}-{name}.png").write_bytes(browser.picture())
    wrong += told(page, "printed", problems(browser, page.as_uri(), "print", PRINTED))
    content = browser.pdf()
    (kept / f"{page.stem}.pdf").write_bytes(content)
    return wrong + told(page, "PDF", [] if content.startswith(b"%PDF") else ["is no PDF"])


def told(page: Path, where: str, found: list[str]) -> int:
    print(f"{page.name}, {where}: {'; '.join(found) or 'well'}", flush=True)
    return len(found)


def missed(browser: Browser, folder: Path) -> int:
    """How many of the faults of a faulty page are not found."""
    page = folder / "faulty.html"
    page.write_text(FAULTY)
    found = "; ".join(problems(browser, page.as_uri(), "screen", PHONE))
    not_found = [fault for fault in FAULTS if fault not in found]
    return told(page, "all faults found", [f"{fault!r} is missed" for fault in not_found])


def pages(folder: Path) -> list[Path]:
    """The reports to look at."""
    recipe = find_recipe("linear-gaussian")
    real = compare(
        *(recipe, load(recipe.data)),
        **{"estimators": [IWAE(1), IWAE(5)], "seeds": (0, 1), "steps": 5, "num_particles": 30},
        progress=False,
    )
    real.save(folder / "real")
    made_up_comparison().save(folder / "made-up")
    words = ["gradients", "gaussian-toy", "--num-draws", "20", "--out", str(folder / "gradients")]
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        assert main_of_ppvae(words) == 0
    names = ("real", "made-up", "gradients")
    return [(folder / n / "report.html").rename(folder / f"{n}.html") for n in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for pages and screenshots")
    chosen = parser.parse_args()
    program = found_program()
    if program is None:
        print("skipped: there is no Chromium on the PATH")
        return 0
    with tempfile.TemporaryDirectory() as name:
        kept = chosen.keep or Path(name)
        kept.mkdir(parents=True, exist_ok=True)
        reports = [page.resolve() for page in pages(kept)]
        with Browser(program, Path(name, "profile")) as browser:
            wrong = missed(browser, Path(name)) + sum(look(browser, each, kept) for each in reports)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
