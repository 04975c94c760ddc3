"""A page as one HTML file: no script, no address outside of it, escaped throughout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import assert_never

from ppvae.report.embed import data_uri, pixels
from ppvae.report.page import Block, Page, Picture, Pictures, Table
from ppvae.report.style import STYLE

__all__ = ["as_html"]

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
"""
# Fewer headings than this are found by scrolling.
_LEAST_FOR_CONTENTS = 4
# Tables with more columns are set smaller on paper.
_WIDE = 8
# Where a long word may be broken; and what must stay together: "± 0.20" and "[+0.32, +1.69]".
_JOINTS = re.compile(r"(?<=[\w)])(?=[:+(])|(?<=[,/=_])(?=\w)")
_TOGETHER = re.compile(r" ± |(?<=,) (?=[-+\d.naif]+\])")
_RUN = "How it was run"


def as_html(page: Page) -> str:
    """The page as HTML that needs no network, no script and no other file."""
    sections = [(each.title, "\n".join(map(_block, each.blocks))) for each in page.sections]
    sections.append((_RUN, _how(page)))
    parts = [
        _HEAD.format(title=escape(page.title), style=STYLE),
        '<body>\n<div class="page">\n<header>',
        f"<h1>{escape(page.title)}</h1>",
        f'<p class="question">{escape(page.question)}</p>',
        "</header>\n<main>",
        f'<section class="verdict"><h2>Verdict</h2>{_texts(page.verdict)}</section>',
        _notes(page.notes),
        _contents([title for title, _ in sections]),
        *(_section(number, *each) for number, each in enumerate(sections, 1)),
        "</main>\n<footer>Written by ppvae. This file is complete in itself.</footer>",
        "</div>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    head = "<h2>What went wrong or was left out</h2>"
    return f'<section class="notes">{head}<ul>{items}</ul></section>'


def _contents(titles: Sequence[str]) -> str:
    if len(titles) < _LEAST_FOR_CONTENTS:
        return ""
    links = "".join(
        f'<li><a href="#s{number}">{escape(title)}</a></li>'
        for number, title in enumerate(titles, 1)
    )
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _section(number: int, title: str, content: str) -> str:
    head = f'<h2 id="s{number}">{escape(title)}</h2>'
    return f'<section aria-labelledby="s{number}">\n{head}\n{content}\n</section>'


def _block(block: Block) -> str:
    match block:
        case str():
            return _texts([block])
        case Table():
            return _table(block)
        case Pictures():
            return _pictures(block)
        case _:
            assert_never(block)


def _texts(paragraphs: Iterable[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in paragraphs if text)


def _table(table: Table) -> str:
    names = list(table.columns)
    head = "".join(_cell("th", name, table.is_words(name), ' scope="col"') for name in names)
    body = "".join(f"<tr>{_cells(table, row)}</tr>\n" for row in table.rows)
    size = ' class="wide"' if len(names) > _WIDE else ""
    caption = f"<figcaption>{escape(table.caption)}</figcaption>" if table.caption else ""
    # What scrolls must be reached with the keyboard too.
    label = escape(table.caption.partition(".")[0] or names[0])
    return (
        f'<figure>{caption}<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f"<table{size}><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"
        "</div></figure>"
    )


def _cells(table: Table, row: Sequence[str]) -> str:
    first, *others = zip(table.columns, row, strict=True)
    name = _cell("th", first[1], True, ' scope="row"')
    return name + "".join(_cell("td", text, table.is_words(column)) for column, text in others)


def _cell(tag: str, text: str, words: bool, more: str = "") -> str:
    kind = ' class="words"' if words else ""
    return f"<{tag}{kind}{more}>{_breakable(text, words)}</{tag}>"


def _breakable(text: str, words: bool) -> str:
    """Escaped text that breaks between its parts, and only there, where there is little room."""
    whole = _TOGETHER.sub(lambda found: found[0].replace(" ", "\xa0"), text)
    return "<wbr>".join(map(escape, _JOINTS.split(whole))) if words else escape(whole)


def _pictures(pictures: Pictures) -> str:
    columns = f"repeat(auto-fill, minmax(min({pictures.least}px, 100%), 1fr))"
    images = "\n".join(map(_picture, pictures.pictures))
    return f'<div class="pictures" style="grid-template-columns: {columns}">\n{images}\n</div>'


def _picture(picture: Picture) -> str:
    width, height = pixels(picture.figure)
    source = data_uri(picture.figure, in_pixels=picture.in_pixels)
    return (
        f'<figure><img src="{source}" width="{width}" height="{height}" '
        f'alt="{escape(picture.alt)}"><figcaption>{escape(picture.caption)}</figcaption></figure>'
    )


def _how(page: Page) -> str:
    """Settings, versions, and the command that does it again."""
    parts = [
        _facts("Settings", page.settings),
        _facts("Versions and machine", page.versions),
        "<h3>The command that repeats it</h3>",
        f"<pre><code>{_command(page.command)}</code></pre>"
        if page.command
        else _texts(["It was started from Python, with the settings above."]),
    ]
    return "\n".join(part for part in parts if part)


def _command(command: str) -> str:
    """The words of a command, broken between them rather than at their hyphens."""
    return " ".join(f"<span>{escape(word)}</span>" for word in command.split(" "))


def _facts(title: str, facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    items = "".join(f"<dt>{escape(n)}</dt><dd>{escape(t)}</dd>" for n, t in facts.items())
    return f"<h3>{title}</h3><dl>{items}</dl>"
