r"""Makes the pictures of docs/serving.md from a service that runs.

Start one on the quickstart's model, and then this:

  genret serve --model_dir=genret-quickstart/models/semantic \
    --collection=genret-quickstart/collection
  python tools/serving_pictures.py --url=http://127.0.0.1:8080/

It needs selenium, Chromium with its driver (see docs/report.md) and Pillow.
"""

import argparse
import base64
import contextlib
import dataclasses
import io
import shutil
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
QUERY = "The Pleistocene epoch takes place during which period?"
COLORS = 128  # enough for letters and lines; a third of the bytes
PATIENCE = 60  # seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
  """A window on the page.

  Attributes:
    width: Of the window, in pixels.
    height: Of it.
    theme: `light` or `dark`.
    top: Selector of the element at which the window begins.
  """

  width: int
  height: int
  theme: str
  top: str


SHOWN = (
  Picture(width=360, height=1000, theme="light", top="#beam-tree"),
  Picture(width=1280, height=1100, theme="light", top="#beam-tree"),
  Picture(width=2560, height=1440, theme="dark", top="body"),
)


@contextlib.contextmanager
def chromium() -> Iterator:
  """Yields a browser without a window."""
  from selenium import webdriver

  options = webdriver.ChromeOptions()
  for flag in ("headless=new", "no-sandbox", "hide-scrollbars"):
    options.add_argument(f"--{flag}")
  service = webdriver.ChromeService(shutil.which("chromedriver"))
  browser = webdriver.Chrome(options=options, service=service)
  try:
    yield browser
  finally:
    browser.quit()


def take(browser, picture: Picture, url: str) -> bytes:
  """Opens the page with its best prefix of one symbol; returns a PNG."""
  size = {"width": picture.width, "height": picture.height}
  browser.execute_cdp_cmd(
    "Emulation.setDeviceMetricsOverride",
    size | {"deviceScaleFactor": 1, "mobile": picture.width < 500},
  )
  theme = {"name": "prefers-color-scheme", "value": picture.theme}
  browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
  browser.get(f"{url}?{urllib.parse.urlencode({'q': QUERY})}")
  wait(browser, "return document.querySelector('.prefix')")
  browser.execute_script(
    "document.querySelector('.prefix [class=symbol]').parentNode"
    ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
  )
  wait(browser, "return !document.querySelector('[aria-busy], .waits')")
  browser.execute_script(
    "document.activeElement.blur();"
    "document.querySelector(arguments[0]).scrollIntoView()",
    picture.top,
  )
  time.sleep(0.5)  # until it is painted
  shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
  return base64.b64decode(shot["data"])


def wait(browser, condition: str) -> None:
  """Waits until a script returns something true."""
  from selenium.webdriver.support.ui import WebDriverWait

  WebDriverWait(browser, PATIENCE).until(lambda b: b.execute_script(condition))


def save(png: bytes, path: Path) -> None:
  """Writes a picture in few colours."""
  from PIL import Image

  image = Image.open(io.BytesIO(png)).convert("RGB")
  image.quantize(COLORS).save(path, optimize=True)


def main() -> None:
  """Reads the command line and makes the pictures."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--url", default="http://127.0.0.1:8080/")
  parser.add_argument("--out", type=Path, default=PICTURES)
  given = parser.parse_args()
  given.out.mkdir(parents=True, exist_ok=True)
  with chromium() as browser:
    for picture in SHOWN:
      path = given.out / f"serving-{picture.width}.png"
      save(take(browser, picture, given.url), path)
      print(f"wrote {path}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
  main()
