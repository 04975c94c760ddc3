"""Write the tables of docs/speed.md from benchmarks/results.

    python benchmarks/tables.py            # rewrites the page
    python benchmarks/tables.py --check    # exits with 1 if the page says something else

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; all other text is left as it
is. A cell whose result is missing reads "unmeasured".
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptance import COLUMNS, DEMANDS, cells
from step_names import CONTENDERS, WORKLOADS

__all__ = ["FILES", "TABLES", "differing", "filled", "main", "results"]

ROOT = Path(__file__).resolve().parents[1]
UNMEASURED, NOT_CAPTURED = "unmeasured", "not captured"
FILES = ("step", "step-cuda", "scaling", "main_job")
PLACE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
THREADS = (1, 2)
OURS = ("off", "replay", "inductor")
SCALING = ("pyro", *OURS, "inductor+layer")

Results = Mapping[str, Mapping[str, Any]]


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """The records by name; an empty one where there is none."""
    paths = {name: folder / f"{name}.json" for name in FILES}
    return {n: json.loads(p.read_text()) if p.exists() else {} for n, p in paths.items()}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, words to the left and numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def found(record: Mapping[str, Any], read: Callable[[Any], float], form: str, **key: Any) -> str:
    """One number, in a form like "{:.2f} ms", of the row of a record that has a key.

    "unmeasured" if there is none, "not captured" if the step was another one than is said.
    """
    for row in record.get("steps", record.get("rows", ())):
        if all(row[name] == value for name, value in key.items()):
            if row.get("ran_as"):
                return NOT_CAPTURED
            try:
                return form.format(read(row))
            except KeyError:
                return UNMEASURED
    return UNMEASURED


def joined(each: Sequence[str], form: str = "{} / {}") -> str:
    """Numbers side by side; one word if it is the same for all."""
    return each[0] if len(set(each)) == 1 and not each[0][0].isdigit() else form.format(*each)


def circumstances(record: Mapping[str, Any]) -> str:
    """What a record says of itself, in one sentence."""
    if not record:
        return f"{UNMEASURED}.\n"
    versions = record["versions"] | record.get("numpyro", {}).get("versions", {})
    known = ", ".join(f"{name} {version}" for name, version in versions.items())
    device = record.get("device", "cpu")
    machine = record["machine"] if device == "cpu" else f"{device}; {record['machine']}"
    return (
        f"`{record['command']}`, {record['seconds']} s on {machine}; {known}; "
        f"commit {record['commit'] or 'unknown'}.\n"
    )


def by_contender(
    read: Callable[[Any], float], form: str, threads: Sequence[int] = THREADS
) -> Callable[[Results], str]:
    """A table of one number: a row for each contender on the CPU, a column for each workload."""

    def cell(record: Results, workload: str, contender: str) -> str:
        if not takes_part(contender, workload):
            return ""
        key = {"workload": workload, "contender": contender}
        each = [found(record["step"], read, form, threads=n, **key) for n in threads]
        return joined(each, " / ".join(["{}"] * len(each)))

    def made(record: Results) -> str:
        rows = [
            [words, *(cell(record, workload, contender) for workload in WORKLOADS)]
            for contender, words in CONTENDERS.items()
            if contender != "graph"
        ]
        return table(["", *WORKLOADS.values()], rows)

    return made


def takes_part(contender: str, workload: str) -> bool:
    """Whether a contender is there for a workload: NumPyro for the VAE, layers for M2."""
    if contender.startswith("numpyro"):
        return workload.startswith("vae")
    return not contender.endswith("+layer") or workload.startswith("m2")


def captured(record: Results) -> str:
    """Milliseconds on every device, and relative to plain eager torch there."""

    def cell(workload: str, name: str, contender: str, threads: int) -> str:
        key = {"workload": workload, "contender": contender, "threads": threads}
        each = [
            found(record[name], lambda row: row["ms"][1], "{:.2f}", **key),
            found(record[name], lambda row: row["over"]["eager"][1], "{:.2f}", **key),
        ]
        return joined(each, "{} ({})")

    places = {
        "1 thread": ("step", "inductor", 1),
        "2 threads": ("step", "inductor", 2),
        "GPU": ("step-cuda", "inductor", 1),
        "GPU, CUDA graph by hand": ("step-cuda", "graph", 1),
    }
    rows = [[w, *(cell(key, *place) for place in places.values())] for key, w in WORKLOADS.items()]
    return table(["", *places], rows)


def acceptance(record: Results) -> str:
    """What the compiled step must reach, and what it does."""
    steps = record["step"].get("steps", [])
    rows = []
    for demand in DEMANDS:
        row = cells(demand, steps)
        rows.append([demand.words, *(str(row.get(workload, "")) for workload in COLUMNS)])
    return table(["", *(WORKLOADS[each] for each in COLUMNS)], rows)


def scaling(record: Results) -> str:
    """Milliseconds and megabytes of a step by size."""
    head = ["", *(CONTENDERS[each] for each in SCALING)]
    rows = record["scaling"].get("rows", [])
    sizes = list(dict.fromkeys((row["factor"], row["value"]) for row in rows))
    if not sizes:
        return table(head, [[UNMEASURED] * len(head)])

    def cell(factor: str, value: int, contender: str) -> str:
        if contender.endswith("+layer") and "M2" not in factor:
            return ""
        key = {"factor": factor, "value": value, "contender": contender}
        each = [
            found(record["scaling"], lambda row: row["ms"][1], "{:.2f} ms", **key),
            found(record["scaling"], lambda row: row["memory"]["later"], "{:.0f} MB", **key),
        ]
        return joined(each, "{}, {}")

    return table(
        head, [[f"{f}: {value}", *(cell(f, value, each) for each in SCALING)] for f, value in sizes]
    )


def main_job(record: Results) -> str:
    """The README's job with a captured step, relative to one without."""
    over = record["main_job"].get("over_off", {})
    rows = [
        [label, f"{total:.2f}", f"{low:.2f} to {high:.2f}"]
        for label, (low, _, high, total) in over.items()
    ]
    rows = rows or [[UNMEASURED] * 3]
    differences = record["main_job"].get("largest_differences")
    said = UNMEASURED
    if differences is not None:
        largest = max(differences, key=lambda name: differences[name])
        value = differences[largest]
        said = f"{value:.2g} ({largest})" if value > 0 else "none"
    return table(
        ["seconds", "auto / off", "quartiles over turns"],
        [*rows, ["largest difference of any number", said, ""]],
    )


TABLES: dict[str, Callable[[Results], str]] = {
    "step": lambda record: circumstances(record["step"]),
    "step-cuda": lambda record: circumstances(record["step-cuda"]),
    "captured": captured,
    "acceptance": acceptance,
    "milliseconds": by_contender(lambda row: row["ms"][1], "{:.2f}"),
    "over-eager": by_contender(lambda row: row["over"]["eager"][1], "{:.2f}"),
    "warm-up": by_contender(lambda row: row["warm_up"], "{:.1f}"),
    "memory": by_contender(lambda row: row["memory"]["later"], "{:.0f}", threads=(1,)),
    "scaling": lambda record: scaling(record) + "\n" + circumstances(record["scaling"]),
    "main-job": lambda record: main_job(record) + "\n" + circumstances(record["main_job"]),
}


def filled(page: str, record: Results) -> str:
    """The page with all its tables made anew."""
    return PLACE.sub(lambda at: f"{at[1]}{TABLES[at[2]](record)}{at[3]}", page)


def differing(page: str, record: Results) -> list[str]:
    """The names of the tables that are not what the results say."""
    new = filled(page, record)
    return [
        old[2]
        for old, made in zip(PLACE.finditer(page), PLACE.finditer(new), strict=True)
        if old[0] != made[0]
    ]


def main(words: Sequence[str] | None = None) -> int:
    """Rewrite the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what differs")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "speed.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    chosen = parser.parse_args(words)
    page, record = chosen.page.read_text(encoding="utf-8"), results(chosen.results)
    wrong = differing(page, record)
    if chosen.check and wrong:
        print(
            f"{chosen.page.name} must say what the results say; got other tables: "
            f"{', '.join(wrong)} (python benchmarks/tables.py rewrites them)."
        )
        return 1
    if not chosen.check:
        chosen.page.write_text(filled(page, record), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
