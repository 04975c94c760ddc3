"""A table for a paper."""

from __future__ import annotations

import re

from ppvae.report.page import Table

__all__ = ["as_latex"]

_HEAD = "% Needs \\usepackage{booktabs}; use it as \\input{table} inside a table environment.\n"

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    # At the beginning of a row it would be an option of the \\ before it.
    "[": "{[}",
    "]": "{]}",
    "\n": " ",
    "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MINUS SIGN}": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "²": r"\textsuperscript{2}",
    "\N{EN DASH}": "--",
    "—": "---",
    "…": r"\ldots{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_MINUS = re.compile(r"(?<![\w.])-(?=[\d.])")


def as_latex(table: Table) -> str:
    """The table as a ``tabular`` with the rules of booktabs, to be read into a paper."""
    kinds = "".join("l" if table.is_words(name) else "r" for name in table.columns)
    head = [_escaped(name) for name in table.columns]
    body = [
        [
            _escaped(cell if table.is_words(name) else _MINUS.sub("\N{MINUS SIGN}", cell))
            for name, cell in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]
    lines = [
        f"\\begin{{tabular}}{{{kinds}}}",
        "\\toprule",
        _row(head),
        "\\midrule",
        *map(_row, body),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(sign, sign) for sign in text)
