"""Laws of a report: escaped, complete in itself, readable by who cannot see, written whole."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import made_up
import pytest

from ppvae.atomic import write_whole
from ppvae.cli.parser import parse
from ppvae.cli.compare import COMPARE
from ppvae.plot.canvas import new_figure
from ppvae.report import Page, Picture, Pictures, Section, Table, as_html, as_latex, write_report

ODD = "<script>alert('&')</script>_50%"
EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"}


class Outline(HTMLParser):
    """The tags of a page, its attributes and its text; fails where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text, self._open = "", []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for each, attrs in self.tags if each == tag]


def figure(value: float = 1.0):
    drawn, (axes,) = new_figure(1, 1, size=(2.0, 1.0))
    axes.plot([0.0, value], [0.0, 1.0])
    return drawn


def page(name: str = ODD, **fields) -> Page:
    table = Table({"estimator": [name, "b"], "in & out": ["-1.5", "+2 [+1.00, +3.00]"]}, name)
    pictures = [Picture(figure(), name, f"shows {name}", in_pixels=each) for each in (True, False)]
    sections = [Section(name, [name, table, Pictures(pictures)])]
    words = {"settings": {name: name}, "versions": {name: name}, "notes": [name]}
    return Page(name, name, [name], sections, command=f"ppvae '{name}'", **(words | fields))


@pytest.fixture(scope="module")
def large():
    """A comparison of 24 estimators, one of them with an odd name, and its page."""
    found = made_up.comparison(failed=["tail:5"], notes=["tail:5, seed 0: log p(x) is NaN"])
    from ppvae.compare.report import page_of, table_of

    return as_html(page_of(found.dataset, found.samples, found.verdict, found.notes)), table_of(
        found.dataset
    )


def test_what_is_written_is_text_and_never_a_tag():
    outline = Outline(as_html(page()))
    assert not outline.all("script")
    # Title twice, question, verdict, note, headings, paragraph, captions, cell, facts, command.
    assert outline.text.count(ODD.replace("_", "")) + outline.text.count(ODD) >= 12


def test_a_page_asks_for_nothing_outside_of_it(large):
    for text in (as_html(page()), large[0]):
        outline = Outline(text)
        addresses = [a[n] for _, a in outline.tags for n in ("src", "href", "srcset") if n in a]
        assert addresses
        assert all(re.match(r"data:|#", address) for address in addresses)
        assert not re.search(r"url\(|@import", text)


def test_every_picture_has_words_for_who_cannot_see_it(large):
    pictures = Outline(large[0]).all("img")
    assert len(pictures) > 20
    assert all(len(each["alt"]) > 10 for each in pictures)


def test_a_picture_is_as_large_as_its_figure_and_twice_as_fine():
    found = Outline(as_html(page())).all("img")
    assert [(each["width"], each["height"]) for each in found] == [("192", "96")] * 2
    png = base64.b64decode(found[0]["src"].partition(",")[2])
    assert [int.from_bytes(png[i : i + 4], "big") for i in (16, 20)] == [384, 192]


def test_one_figure_gives_one_text():
    assert as_html(page()) == as_html(page())


def test_a_page_started_from_python_says_so_in_place_of_the_command():
    assert (
        "ppvae " not in Outline(as_html(page("a", command=""))).text.partition("repeats it")[2][:60]
    )
    assert "from Python" in as_html(page("a", command=""))
