"""Every fault of mutations.toml is noticed by the test that it names."""

import mutations
import pytest


@pytest.mark.slow
def test_every_fault_is_noticed(capsys):
    code = mutations.main([])
    assert code == 0, capsys.readouterr().out


def test_a_patch_that_no_longer_fits_is_reported(tmp_path):
    fault = mutations.Fault("gone", "module.py", "not there", "", "")
    (tmp_path / "module.py").write_text("present = True\n")
    with pytest.raises(ValueError, match=r"module\.py must hold 'not there' once; got 0 times"):
        mutations.patch(tmp_path, fault)


@pytest.mark.parametrize("fault", mutations.faults([]), ids=lambda fault: fault.name)
def test_every_patch_fits_the_code_of_today(fault):
    assert (mutations.ROOT / fault.file).read_text().count(fault.old) == 1
