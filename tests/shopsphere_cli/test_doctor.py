"""The doctor names what is wrong and what to do about it."""

import shutil

import pytest

from shopsphere_cli.doctor import doctor


@pytest.fixture
def examine(tmp_path, capsys, new_server_settings):
    """The verdict and the lines of the doctor about a folder, perhaps with a lake in it."""

    def run(lake=None):
        if lake:
            shutil.copytree(lake.root, tmp_path / "lake")
            shutil.rmtree(tmp_path / "lake/gold/product_weeks")
        well = doctor(new_server_settings(tmp_path))
        return well, capsys.readouterr().out.splitlines()

    return run


def line(lines, check):
    """The one about a check."""
    (found,) = (one for one in lines if f" {check}: " in one)
    return found


def test_an_empty_folder_lacks_everything(examine):
    """Each fault says which command mends it."""
    well, lines = examine()

    assert not well
    assert line(lines, "lake").startswith("fault") and "shopsphere ingest" in line(lines, "lake")
    assert line(lines, "registry").startswith("fault") and "shopsphere train" in line(lines, "registry")
    assert line(lines, "Python").startswith("ok")


def test_tables_that_are_not_there_are_named(examine, tiny_lake):
    """They are no fault: the next build makes some, other commands the rest."""
    _, lines = examine(tiny_lake)

    assert line(lines, "lake").startswith("ok")
    there, _, absent = line(lines, "lake").partition("not there yet: ")
    assert "gold.product_weeks" in absent and "predictions" in absent and "gold.product_features" not in absent
    assert " 21 of 31 tables" in there
