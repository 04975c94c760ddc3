"""A report as one HTML file that needs nothing else, and its table and figure for a paper.

It knows nothing of what is reported: whoever has results puts them into a :class:`Page` and calls
:func:`write_report`, which writes ``report.html``, ``table.tex`` and ``figure.pdf``::

    table = Table({"estimator": ["iwae:5", "iwae:5+dreg"], "SNR": ["1.20", "3.41"]}, "Caption.")
    curves = Picture(figure, caption="SNR against draws.", alt="What it shows, in words.")
    page = Page(
        title="Gradients of 2 estimators on gaussian-toy",
        question="Which gradient has the least variance?",
        verdict=["iwae:5+dreg has the higher signal-to-noise ratio."],
        sections=[Section("The table", [table]), Section("Draws", [Pictures([curves])])],
        settings={"draws": "1,000"},
        versions={"torch": "2.15.0"},
        command="ppvae gradients gaussian-toy",
    )
    write_report(folder, page, table=table, figures=[figure])
"""

from ppvae.report.latex import as_latex
from ppvae.report.page import Block, Page, Picture, Pictures, Section, Table
from ppvae.report.render import as_html
from ppvae.report.write import write_report

__all__ = [
    "Block",
    "Page",
    "Picture",
    "Pictures",
    "Section",
    "Table",
    "as_html",
    "as_latex",
    "write_report",
]
