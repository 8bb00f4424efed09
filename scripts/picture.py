#!/usr/bin/env python3
"""Draws what a command printed in colours as an SVG: `mcp-authz demo --once --color always | scripts/picture.py > docs/demo.svg`."""

import html
import re
import sys

WIDTH, HEIGHT, PAD = 7.8, 16, 14
COLORS = {"10": "#3fb950", "9": "#f85149", "13": "#db61a2"}


def spans(line: str):
    """The pieces of a line with the style of each."""
    color, bold, dim = None, False, False
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if code is None:
            if piece:
                yield piece, color, bold, dim
        elif code[1] in ("0", ""):
            color, bold, dim = None, False, False
        elif code[1].startswith("38;5;"):
            color = COLORS.get(code[1][5:])
        else:
            bold, dim = bold or code[1] == "1", dim or code[1] == "2"


def joined(pieces):
    """Neighbours of one style as one piece: tables style each word by itself."""
    last = None
    for text, *style in pieces:
        if last and (last[1] == style or text == " "):
            last[0] += text
            continue
        if last:
            yield last[0], *last[1]
        last = [text, style]
    if last:
        yield last[0], *last[1]


def main() -> None:
    """Reads stdin, writes an SVG on stdout."""
    lines = sys.stdin.read().rstrip("\n").split("\n")
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    width = max(map(len, plain)) * WIDTH + 2 * PAD
    height = len(lines) * HEIGHT + 2 * PAD
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13" fill="#e6edf3">'
    )
    print('<rect width="100%" height="100%" rx="8" fill="#0d1117"/>')
    for row, line in enumerate(lines):
        at, y = 0, PAD + (row + 1) * HEIGHT - 4
        for text, color, bold, dim in joined(spans(line)):
            words = text.strip(" ")
            if words:
                x = PAD + (at + len(text) - len(text.lstrip(" "))) * WIDTH
                style = f' fill="{color}"' if color else ' fill="#8b949e"' if dim else ""
                style += ' font-weight="bold"' if bold else ""
                length = f' textLength="{len(words) * WIDTH:.1f}"'
                print(f'<text x="{x:.1f}" y="{y}"{length}{style} xml:space="preserve">{html.escape(words)}</text>')
            at += len(text)
    print("</svg>")


main()
