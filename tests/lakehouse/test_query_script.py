"""`shopsphere sql` with a query, a file, an example, or a pipe."""

import io
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lakehouse.errors import ConfigurationError, ShopSphereError
from lakehouse.query_script import plans, read, run_script
from lakehouse.query_session import Session
from shopsphere_cli.main import make_app


@pytest.fixture
def command(tiny_lake, monkeypatch):
    """Run the command on the small shop; gives what it printed."""
    monkeypatch.setenv("LAKE_ROOT", tiny_lake.root)

    def run(*arguments, pipe=None):
        return CliRunner().invoke(make_app(), ["sql", *arguments], input=pipe)

    return run


def answers(lake, text, *parameters):
    """The single values that the statements of a text give."""
    with Session(lake) as session:
        return [answer.item() for answer in run_script(session, text, parameters)]


def test_a_pipe_answers_each_statement(command):
    """Semicolons in texts end none; a last `exit` is understood."""
    assert command("--format", "csv", pipe="select 1 as x;\nselect 'a;b' as y;\nexit\n").stdout == "x\n1\ny\na;b\n"


def test_a_file_or_an_example_is_a_query_too(command, tmp_path):
    """And its parameters have defaults, which the command line can change."""
    (tmp_path / "query.sql").write_text("-- How many?\n-- $least: at least; default 2\nselect $least + 1 as n")

    assert command("--file", str(tmp_path / "query.sql"), "--format", "csv").stdout == "n\n3\n"
    given = command("--file", str(tmp_path / "query.sql"), "--parameter", "least=1", "--format", "csv")
    assert given.stdout == "n\n2\n"
    assert "training_clv" in command("--examples").stdout


def test_explain_shows_the_plan_with_what_is_pushed_down(tiny_lake):
    """The value of a parameter reaches the scan."""
    text = "select count(*) from gold.interactions where month = $at"
    with Session(tiny_lake) as session:
        (plan,) = plans(session, text, ["at=(select max(month) from gold.interactions)"])

    assert '"month" = DATE' in plan


def test_a_parameters_value_is_an_expression_over_the_lake(lake):
    """Each statement gets those that it uses."""
    assert answers(lake, "select $a::int; select len($b)", "a=6 * 7", "b=[1, 2]") == [42, 2]


@pytest.mark.parametrize(
    ("text", "parameters", "said"),
    [
        ("select $a", [], r"\$a has no value: give it with --parameter a="),
        ("select $a", ["b=1"], r"sets no parameter of the query \(\$a\)"),
        ("select 1; select nope; select 2", [], "nope"),
        ("selec 1", [], "syntax error"),
    ],
)
def test_a_mistake_is_one_error(lake, text, parameters, said):
    """It ends the script."""
    with pytest.raises(ShopSphereError, match=said):
        answers(lake, text, *parameters)


def test_one_source_of_a_query_at_a_time(tmp_path, monkeypatch):
    """Two are refused, as is a file that cannot be read; `-` is the input."""
    with pytest.raises(ConfigurationError, match="give one of"):
        read("select 1", example_name="training_clv")
    with pytest.raises(ConfigurationError, match="cannot read"):
        read(None, file=tmp_path / "nothing.sql")
    monkeypatch.setattr("sys.stdin", io.StringIO("select 1"))
    assert read(None) == "select 1"


def test_help_does_not_load_the_prompt():
    """Nor DuckDB: they are for the command that uses them."""
    heavy = "{'prompt_toolkit', 'pygments.lexers', 'duckdb', 'polars'} & set(sys.modules)"
    code = f"import sys; from shopsphere_cli.main import make_app; make_app(); print({heavy})"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
