"""The page on speed says what the results say."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import tables
from acceptance import DEMANDS, cells
from step_names import CONTENDERS, WORKLOADS

PAGE = tables.ROOT / "docs" / "speed.md"


def row(workload, contender, ms, over, threads=1):
    return {
        "workload": workload,
        "threads": threads,
        "contender": contender,
        "ms": [ms - 0.5, ms, ms + 0.5],
        "over": {name: [each, each, each] for name, each in over.items()},
        "warm_up": 4.25,
    }


@pytest.fixture
def folder(tmp_path):
    """A page and the results of one contender on one workload."""
    (tmp_path / "speed.md").write_text(PAGE.read_text())
    over = {"eager": 0.55, "compiled": 0.85, "pyro": 0.25}
    step = {
        "command": "python benchmarks/step.py --threads 1",
        "commit": "0123456789",
        "machine": "a machine, 2 cores",
        "versions": {"torch": "2.14"},
        "seconds": 61,
        "steps": [row("vae-32", "inductor", 1.5, over)],
    }
    (tmp_path / "step.json").write_text(json.dumps(step))
    return tmp_path


def run(folder, *options):
    page = folder / "speed.md"
    return tables.main(["--page", str(page), "--results", str(folder), *options])


def table_of(folder, name):
    """The cells of a table by the first of their row."""
    found = {at[2]: at[0] for at in tables.PLACE.finditer((folder / "speed.md").read_text())}[name]
    lines = [line[2:-2].split(" | ") for line in found.splitlines() if line.startswith("|")]
    head, _, *body = lines
    return {cells[0]: dict(zip(head[1:], cells[1:], strict=True)) for cells in body}


def test_the_page_says_what_the_results_say(capsys):
    assert tables.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_every_table_stands_on_the_page_once():
    places = [at[2] for at in tables.PLACE.finditer(PAGE.read_text())]
    assert sorted(places) == sorted(tables.TABLES)


def test_without_results_every_table_reads_unmeasured(folder):
    (folder / "step.json").unlink()
    run(folder)
    for at in tables.PLACE.finditer((folder / "speed.md").read_text()):
        assert "unmeasured" in at[0]
    # The limits of the table of acceptance are the only numbers between the bars.
    for name in set(tables.TABLES) - {"acceptance", "step", "step-cuda"}:
        for own in table_of(folder, name).values():
            assert set(own.values()) <= {"unmeasured", ""}, name


def test_what_was_measured_is_shown_and_the_rest_reads_unmeasured(folder):
    run(folder)
    text = (folder / "speed.md").read_text()
    assert "`python benchmarks/step.py --threads 1`, 61 s on a machine, 2 cores; torch 2.14" in text
    captured = table_of(folder, "captured")[WORKLOADS["vae-32"]]
    assert list(captured.values()) == ["1.50 (0.55)", *["unmeasured"] * 3]
    by_name = table_of(folder, "over-eager")
    assert by_name[CONTENDERS["inductor"]][WORKLOADS["vae-32"]] == "0.55 / unmeasured"
    assert by_name[CONTENDERS["inductor"]][WORKLOADS["vae-128"]] == "unmeasured"
    assert by_name[CONTENDERS["eager"]][WORKLOADS["vae-32"]] == "unmeasured"
    assert by_name[CONTENDERS["numpyro-loop"]].get(WORKLOADS["m2-128"], "") == ""
    assert table_of(folder, "memory")[CONTENDERS["inductor"]][WORKLOADS["vae-32"]] == "unmeasured"


def test_a_changed_cell_is_noticed_and_put_right(folder, capsys):
    run(folder)
    assert run(folder, "--check") == 0
    page = folder / "speed.md"
    right = page.read_text()
    page.write_text(right.replace("1.50 (0.55)", "1.40 (0.55)"))
    assert run(folder, "--check") == 1
    assert "speed.md must say what the results say; got other tables: captured" in (
        capsys.readouterr().out
    )
    assert run(folder) == 0
    assert page.read_text() == right


def test_a_changed_result_is_noticed(folder, capsys):
    run(folder)
    step = json.loads((folder / "step.json").read_text())
    step["steps"][0]["warm_up"] = 5.0
    (folder / "step.json").write_text(json.dumps(step))
    assert run(folder, "--check") == 1
    assert "got other tables: warm-up (" in capsys.readouterr().out


def test_text_outside_of_the_tables_is_left_alone(folder):
    run(folder)
    before, after = (
        tables.PLACE.sub(r"\2", page.read_text()) for page in (PAGE, folder / "speed.md")
    )
    assert before == after


@pytest.mark.parametrize(
    ("reference", "ratio", "said"),
    [
        ("eager", 0.6, "0.60 (≤ 0.60)"),
        ("eager", 0.61, "0.61 (≤ 0.60, missed)"),
        ("pyro", 0.25, "4.00 (≥ 3.30)"),
        ("pyro", 0.4, "2.50 (≥ 3.30, missed)"),
    ],
)
def test_a_limit_is_met_or_missed(reference, ratio, said):
    demand = next(each for each in DEMANDS if each.reference == reference)
    found = cells(demand, [row("vae-32", "inductor", 1.5, {reference: ratio})])
    assert str(found["vae-32"]) == said
    assert found["vae-32"].met == ("missed" not in said)
    assert found["vae-128"].met is None


def test_a_limit_holds_for_every_number_of_threads():
    steps = [row("vae-32", "inductor", 1.5, {"eager": r}, t) for t, r in ((1, 0.5), (2, 0.7))]
    assert str(cells(DEMANDS[0], steps)["vae-32"]) == "0.50 / 0.70 (≤ 0.60, missed)"


def test_m2_is_judged_with_the_layer_and_once_without():
    steps = [
        row("m2-128", "inductor", 1.5, {"eager": 0.9}),
        row("m2-128", "inductor+layer", 1.0, {"eager": 0.6}),
    ]
    assert [str(cells(d, steps)["m2-128"]) for d in DEMANDS[:2]] == [
        "0.60 (≤ 0.65)",
        "0.90 (≤ 0.95)",
    ]


def test_a_step_that_was_not_captured_is_not_shown_as_one(folder):
    step = json.loads((folder / "step.json").read_text())
    step["steps"][0]["ran_as"] = "eager"
    (folder / "step.json").write_text(json.dumps(step))
    run(folder)
    captured = table_of(folder, "captured")[WORKLOADS["vae-32"]]
    assert list(captured.values()) == ["not captured", *["unmeasured"] * 3]
    by_name = table_of(folder, "over-eager")[CONTENDERS["inductor"]]
    assert by_name[WORKLOADS["vae-32"]] == "not captured / unmeasured"


def test_sizes_and_the_main_job_are_shown(folder):
    about = {"command": "c", "commit": "", "machine": "m", "versions": {}, "seconds": 1}
    size = {"factor": "classes of M2", "value": 10, "contender": "off", "ms": [1, 2, 3]}
    record = about | {"rows": [size | {"memory": {"first": 9.0, "later": 7.4}}]}
    (folder / "scaling.json").write_text(json.dumps(record))
    record = about | {
        "over_off": {"all training": [0.8, 0.9, 1.1, 0.95]},
        "largest_differences": {"curve": 0.0, "elbo": 2.5e-6},
    }
    (folder / "main_job.json").write_text(json.dumps(record))
    run(folder)
    shown = table_of(folder, "scaling")["classes of M2: 10"]
    assert shown[CONTENDERS["off"]] == "2.00 ms, 7 MB"
    assert shown[CONTENDERS["replay"]] == "unmeasured"
    job = table_of(folder, "main-job")
    assert list(job["all training"].values()) == ["0.95", "0.80 to 1.10"]
    assert job["largest difference of any number"]["auto / off"] == "2.5e-06 (elbo)"
