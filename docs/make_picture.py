"""Run the quickstart in an empty cache and put its answer where the docs show it: `python docs/make_picture.py`.

Writes the text between `<!-- answer: begin ... -->` and `<!-- answer: end -->` in README.md and the tutorial, and the picture
`docs/images/quickstart.svg`. Run it on a quiet machine: the times in the answer are this machine's.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

import olivelike
from olivelike.cli.report_text import report_lines

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "tutorial" / "quickstart.md")
PICTURE = ROOT / "docs" / "images" / "quickstart.svg"
COMMAND = "olivelike run workflows/quickstart.yaml"
NARROW, WIDE = 100, 150
BLOCK = re.compile(r"(<!-- answer: begin[^>]*-->\n).*?(<!-- answer: end -->)", re.DOTALL)


def main() -> None:
    """Runs the quickstart and writes its answer into the pages and the picture."""
    os.chdir(ROOT)
    with TemporaryDirectory(prefix="olivelike-picture-") as cache:
        report = olivelike.run("workflows/quickstart.yaml", cache_dir=cache)
    for page in PAGES:
        page.write_text(with_answer(page.read_text("utf-8"), answer(report, NARROW)), encoding="utf-8")
    PICTURE.write_text(picture(answer(report, WIDE)), encoding="utf-8")


def answer(report: olivelike.Report, width: int) -> list[str]:
    """Returns what the command prints in a terminal of some width."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    return [line.rstrip() for line in report_lines(report.contract, console)]


def with_answer(page: str, lines: list[str]) -> str:
    """Returns a page with the answer between its markers."""
    block = "\n".join(["```text", *lines, "```"])
    return BLOCK.sub(lambda match: f"{match[1]}{block}\n{match[2]}", page)


def picture(lines: list[str]) -> str:
    """Returns the answer as an SVG: a terminal window with the command and what it printed. It loads no font."""
    console = Console(record=True, width=WIDE, file=io.StringIO(), highlight=False)
    console.print(Text(f"$ {COMMAND}", style="bold"))
    for line in lines:
        console.print(_styled(line), soft_wrap=True)
    drawn = console.export_svg(title="olivelike", unique_id="quickstart")
    return re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL).rstrip() + "\n"


def _styled(line: str) -> Text:
    text = Text(line)
    text.highlight_regex(r"\d[\d.]* x faster|chosen.*|^feasible|^written to", "green")
    text.highlight_regex(r"\d[\d.]* x slower|shown worse than.*", "red")
    text.highlight_regex(r"^ +recipe.*|^ +baseline", "bold")
    return text


if __name__ == "__main__":
    main()
