"""Laws of a report: escaped, complete in itself, readable by who cannot see, written whole."""

import base64
import json
import re
from html.parser import HTMLParser

import made_up
import pytest

from ppvae.cli.compare import COMPARE
from ppvae.cli.parser import parse
from ppvae.compare.panels import above_which, by_draws, while_training
from ppvae.compare.report import page_of
from ppvae.plot.canvas import new_figure
from ppvae.plot.looks import looks_of
from ppvae.report import Page, Picture, Pictures, Section, Table, as_html, as_latex, write_report

ODD = made_up.ODD
NAMES = ["elbo", "iwae:5", "iwae:50", "tail:5", ODD]
EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"}


class Outline(HTMLParser):
    """The tags of a page, its attributes and its text; refuses tags that do not nest."""

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


def figure():
    drawn, (axes,) = new_figure(1, 1, size=(2.0, 1.0))
    axes.plot([0.0, 1.0], [0.0, 1.0])
    return drawn


def table(name: str = ODD) -> Table:
    return Table({"name": [name, "b"], "in & out": ["-1.50 ± 0.20", "+2 [+1.00, +3.00]"]}, name)


def page(name: str = ODD, command: str = ODD) -> Page:
    pictures = [Picture(figure(), name, f"shows {name}", in_pixels=each) for each in (True, False)]
    sections = [Section(name, [name, table(name), Pictures(pictures)])]
    return Page(name, name, [name], sections, {name: name}, {name: name}, command, [name])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a comparison keeps of estimators of which one failed and one has an odd name."""
    kept = tmp_path_factory.mktemp("comparison")
    notes = ["tail:5, seed 0: log p(x) is NaN"]
    made_up.comparison(NAMES, failed=["tail:5"], notes=notes).save(kept)
    return kept


@pytest.fixture(scope="module")
def report(folder) -> str:
    return (folder / "report.html").read_text()


def test_what_is_written_is_text_and_never_a_tag():
    outline = Outline(as_html(page()))
    assert not outline.all("script")
    # Title twice, question, verdict, note, heading, paragraph, three captions, cell, four facts
    # and the command.
    assert outline.text.count(ODD) == 16


def test_a_page_asks_for_nothing_outside_of_it(report):
    for text in (as_html(page()), report):
        outline = Outline(text)
        addresses = [a[n] for _, a in outline.tags for n in ("src", "href", "srcset") if n in a]
        assert addresses
        assert all(re.match(r"data:|#", address) for address in addresses)
        assert not re.search(r"url\(|@import", text)


def test_a_link_leads_to_a_heading(report):
    outline = Outline(report)
    targets = {attrs["id"] for _, attrs in outline.tags if "id" in attrs}
    links = [attrs["href"] for attrs in outline.all("a")]
    assert len(links) == report.count("<h2 id=") > 3
    assert {link.removeprefix("#") for link in links} <= targets


def test_every_picture_has_words_for_who_cannot_see_it(report):
    pictures = Outline(report).all("img")
    # Differences, sums, draws, two curves, k-hat, coordinates, and images of those that ended.
    assert len(pictures) == 7 + len(NAMES) - 1
    assert all(len(each["alt"]) > 10 for each in pictures)


def test_a_picture_is_as_large_as_its_figure_and_twice_as_fine():
    found = Outline(as_html(page())).all("img")
    assert [(each["width"], each["height"]) for each in found] == [("192", "96")] * 2
    png = base64.b64decode(found[0]["src"].partition(",")[2])
    assert [int.from_bytes(png[i : i + 4], "big") for i in (16, 20)] == [2 * 192, 2 * 96]


def test_one_figure_gives_one_text():
    assert as_html(page()) == as_html(page())


def test_what_belongs_together_in_a_cell_is_not_broken():
    text = as_html(page())
    assert "<td>-1.50\xa0±\xa00.20</td>" in text
    assert "<td>+2 [+1.00,\xa0+3.00]</td>" in text


def test_a_long_name_may_be_broken_between_its_parts():
    assert "iwae<wbr>:5<wbr>+dreg" in as_html(page("iwae:5+dreg"))


def test_a_page_started_from_python_says_so_in_place_of_the_command():
    assert "started from Python" in Outline(as_html(page(command=""))).text


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"columns must be .* one length; got {'a': 1, 'b': 0}"):
        Table({"a": ["x"], "b": []})


def test_no_columns_are_refused():
    with pytest.raises(ValueError, match="columns must be at least one"):
        Table({})


def test_a_table_for_a_paper_is_escaped():
    found = as_latex(Table({"a_b": ["50% & #1 {x} ~^\\<$"], "c": ["-1.5 [-2.0, e-3] ± 1"]}))
    assert r"a\_b & c \\" in found
    name = r"50\% \& \#1 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}\textless{}\$"
    assert rf"{name} & $-$1.5 {{[}}$-$2.0, e-3{{]}} $\pm$ 1 \\" in found


def test_a_table_for_a_paper_has_the_rules_of_booktabs_and_numbers_to_the_right():
    lines = as_latex(table("a")).splitlines()
    assert [line for line in lines if line.endswith("rule")] == [
        *("\\toprule", "\\midrule", "\\bottomrule")
    ]
    assert "\\begin{tabular}{lr}" in lines


def test_a_paper_gets_a_row_for_every_estimator_and_the_curves(folder):
    lines = (folder / "table.tex").read_text().splitlines()
    assert sum(line.endswith("\\\\") for line in lines) == 1 + len(NAMES)
    assert (folder / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_the_report_of_a_comparison_says_question_verdict_settings_and_command(report):
    text = Outline(report).text
    for words in (
        *("Which estimator trains vae (digits)", "tail:5 has no finite result."),
        *("tail:5, seed 0: log p(x) is NaN", "hidden 400, latent_dim 8", "Adam(lr=0.001)"),
        *("0, 1, 2", "2,000", "ppvae compare vae --data digits"),
    ):
        assert words in text, words


def test_an_estimator_has_one_colour_whatever_is_left_out():
    found = made_up.comparison(["elbo", "iwae:5", "iwae:50"], failed=["elbo"]).dataset
    looks = looks_of(["elbo", "iwae:5", "iwae:50"])
    curves, _ = while_training(found, looks)
    assert curves.figure.axes[0].lines[0].get_color() == looks["iwae:5"].color
    assert above_which(found, looks) == []


def test_the_bound_is_drawn_against_draws_for_each_family_of_several():
    names = ["elbo", "beta:2", "beta:4", "iwae:50", "iwae:5", "iwae:5+dreg"]
    (picture,) = by_draws(made_up.comparison(names).dataset, looks_of(names))
    assert [text.get_text() for text in picture.figure.axes[0].texts] == ["iwae"]
    line = next(each for each in picture.figure.axes[0].lines if len(each.get_xdata()) > 1)
    assert line.get_xdata().tolist() == [5.0, 50.0]


def test_settings_that_differ_between_experiments_are_told_for_each():
    found = made_up.comparison(["elbo", "iwae:5"]).dataset
    texts = [json.loads(text) for text in found["settings"].values]
    texts[1]["batch_size"] = 7
    found = found.assign_coords(
        settings=("estimator", [json.dumps(text) for text in texts]),
        experiment=("estimator", ["one", "two"]),
    )
    settings = page_of(found, {}, "", []).settings
    assert settings["rows in a step"] == "one: 128; two: 7"
    assert settings["optimizer"] == "Adam(lr=0.001)"


def test_the_files_are_written_whole(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("ppvae.report.write.write_whole", lambda path, _: written.append(path.name))
    write_report(tmp_path, page(), table=table(), figures=[figure()])
    assert written == ["report.html", "table.tex", "figure.pdf"]
    assert not list(tmp_path.iterdir())


def test_the_command_is_quoted_for_a_shell():
    words = ["my pair.py", "--estimators", "elbo", "mine.py:It's", "--seeds", "0", "1"]
    command = parse(COMPARE, words).command
    assert command == (
        "ppvae compare 'my pair.py' --estimators elbo 'mine.py:It'\"'\"'s' --seeds 0 1"
    )
