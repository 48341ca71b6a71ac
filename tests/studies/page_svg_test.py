import re

from genret.studies import page_svg, plots

SVG = f"""<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "x" "y">
<svg xmlns:xlink="z" width="3pt" viewBox="0 0 3 4" version="1.1">
 <metadata>
  <a/>
 </metadata>
 <defs>
  <style type="text/css">*{{}}</style>
 </defs>
 <g id="point-0-1"><path id="m1" style="fill: {plots.INK}; stroke: \
{plots.COLOURS[1].lower()}"/><use xlink:href="#m1" clip-path="url(#p2)"/></g>
 <text style="font-size: 9px; font-family: 'DejaVu Sans', sans-serif; \
fill: {plots.GREY}" x="12.345678" transform="rotate(-0 1 2)">0.0125</text>
</svg>
"""


def test_a_plot_takes_colours_and_letters_of_the_page():
  found = page_svg.inline(
    SVG, name="sizes", title="A & B", points={"point-0-1": "x < y"}
  )
  assert found == (
    '<svg viewBox="0 0 3 4" role="img" aria-label="A &amp; B"'
    ' stroke-linejoin="round">\n <defs>\n </defs>\n'
    ' <g id="sizes-point-0-1"><title>x &lt; y</title><path id="sizes-m1"'
    ' style="fill: var(--ink); stroke: var(--series-1)"/>'
    '<use href="#sizes-m1" clip-path="url(#sizes-p2)"/></g>\n'
    ' <text style="font-size: 9px; fill: var(--grey)" x="12.34">0.0125</text>\n'
    "</svg>"
  )


def test_drawn_plots_keep_no_colours_of_their_own(made_report):
  for path in (made_report / "plots").glob("*.svg"):
    found = page_svg.inline(path.read_text(), name="n", title="t", points={})
    assert not re.search(r"#[0-9a-f]{6}\b", found), path.name
    ids = re.findall(r'id="([^"]*)"', found)
    assert len(ids) == len(set(ids))
    used = re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', found)
    assert {a or b for a, b in used} <= set(ids)


def test_the_page_knows_each_variable(made_report):
  text = (made_report / "report.html").read_text()
  for name in page_svg.variables().values():
    assert text.count(f"--{name}: #") == 2, name  # in light, and in dark
