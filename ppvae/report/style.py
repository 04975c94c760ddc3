"""How a report looks: on a phone, on a screen, on paper."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root { --ink: #1a1c20; --soft: #565c66; --line: #d5d9df; --pale: #f4f6f8; --mark: #0b5394; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: #fff; color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word;
}
.page { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1, h2, h3, p, ul, dl, figure, pre { margin: 0; }
h1, h2, h3 { line-height: 1.25; font-weight: 650; text-wrap: balance; }
h1 { font-size: clamp(1.45rem, 1.1rem + 1.6vw, 2rem); letter-spacing: -0.01em; }
h2 { font-size: 1.25rem; margin-top: 2.75rem; padding-top: 0.85rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin-top: 1.5rem; }
p, ul, dl, pre { margin-top: 0.75rem; }
p, li, figcaption { max-width: 46rem; }
a { color: var(--mark); }
.question { font-size: 1.1rem; color: var(--soft); }
.verdict { margin-top: 1.5rem; padding: 0.9rem 1.1rem 1rem; background: var(--pale);
  border-left: 4px solid var(--mark); }
.verdict h2 { margin: 0; padding: 0; border: 0; font-size: 0.8rem; letter-spacing: 0.08em;
  text-transform: uppercase; color: var(--mark); }
.verdict p { margin-top: 0.5rem; }
.notes { margin-top: 1rem; padding: 0.1rem 1.1rem 0.7rem; border-left: 4px solid #b45f06;
  background: #fdf6ec; }
.notes ul { padding-left: 1.1rem; margin-top: 0.35rem; }
.notes h2 { margin-top: 0.6rem; padding: 0; border: 0; font-size: 1rem; }
nav { margin-top: 1.25rem; font-size: 0.92rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.15rem 1.1rem; padding: 0; list-style: none; }
nav li { max-width: none; }
nav a { display: inline-block; padding: 0.2rem 0; }
figure { margin-top: 1.25rem; }
figcaption, figure + p { font-size: 0.88rem; line-height: 1.45; color: var(--soft); }
.pictures { display: grid; gap: 0.5rem 1.5rem; align-items: start; }
.pictures img { display: block; width: auto; max-width: 100%; height: auto; margin: 0 0 0.35rem; }
.scroll { margin-top: 0.5rem; overflow-x: auto; max-width: 100%;
  background: linear-gradient(to left, #fff 1rem, transparent) right / 2rem 100% no-repeat local,
    linear-gradient(to left, #1a1c2033, transparent) right / 0.8rem 100% no-repeat scroll; }
.scroll:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 0.86rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; border-top: 1.5px solid var(--ink);
  border-bottom: 1.5px solid var(--ink); }
th, td { padding: 0.34rem 0.6rem; text-align: right; vertical-align: baseline; }
thead th { font-weight: 600; vertical-align: bottom; border-bottom: 1px solid var(--ink);
  text-wrap: balance; }
tbody th { font-weight: 500; }
tbody tr + tr > * { border-top: 1px solid #e9ecef; }
td { white-space: nowrap; }
th.words, td.words { text-align: left; white-space: normal; }
tr > :first-child { position: sticky; left: 0; background: #fff; padding-left: 0.1rem;
  min-width: 6rem; max-width: 12rem; }
tbody tr:hover > * { background: var(--pale); }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) minmax(0, 1fr);
  gap: 0.3rem 1.25rem; font-size: 0.92rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { padding: 0.7rem 0.9rem; background: var(--pale); border: 1px solid var(--line);
  border-radius: 4px; font: 0.86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
pre span { display: inline-block; max-width: 100%; }
footer { margin-top: 3rem; padding-top: 0.75rem; border-top: 1px solid var(--line);
  font-size: 0.82rem; color: var(--soft); }
@media (max-width: 30rem) {
  .verdict, .notes { padding-left: 0.8rem; padding-right: 0.8rem; }
  th, td { padding: 0.34rem 0.45rem; }
  tr > :first-child { max-width: 7.5rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd + dt { margin-top: 0.55rem; }
}
@page { size: A4; margin: 16mm 15mm 18mm; }
@media print {
  html { font-size: 10pt; }
  body { line-height: 1.4; }
  .page { max-width: none; padding: 0; }
  nav { display: none; }
  h1 { font-size: 18pt; }
  h2 { font-size: 13pt; margin-top: 18pt; }
  h2, h3 { break-after: avoid; }
  .pictures figure, .verdict, tr, pre { break-inside: avoid; }
  .pictures img { max-height: 235mm; }
  .verdict, .notes, pre { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; background: none; }
  table { font-size: 8pt; }
  table.wide { font-size: 6.8pt; }
  th, td { padding: 2pt 4pt; white-space: normal; }
  table.wide th, table.wide td { padding: 1.5pt 2.5pt; }
  tr > :first-child { position: static; min-width: 0; max-width: none; }
  a { color: inherit; text-decoration: none; }
}
"""
