"""The prompt of `shopsphere sql`, typed into as a person would."""

import pytest
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from lakehouse.query_prompt import SqlCompleter, prompt
from lakehouse.query_session import Session


@pytest.fixture
def typed(lake, capsys):
    """Type keys into a prompt and give what it printed."""

    def run(keys):
        with create_pipe_input() as pipe, Session(lake) as session:
            pipe.send_text(keys)
            prompt(session, lake, input=pipe, output=DummyOutput())
        return capsys.readouterr().out

    return run


def completions(text, cursor=None):
    """What is offered at the end of a text, or at a cursor in it."""
    document = Document(text, len(text) if cursor is None else cursor)
    return {choice.text: choice.display_meta_text for choice in SqlCompleter().get_completions(document, None)}


def test_a_query_spans_lines_up_to_its_semicolon(typed):
    """Enter asks only then; a mistake prints its fault, and the prompt goes on."""
    printed = typed("select\r41 + 1 as answer;\rselect nope;\rset threads = 1;\rexit\r")

    assert "42" in printed
    assert "the query failed" in printed


def test_ctrl_c_drops_the_line_and_ctrl_d_leaves(typed):
    """The dropped text is not asked."""
    printed = typed("select 'dropped';\x03select 'asked';\r\x04")

    assert "asked" in printed
    assert "dropped" not in printed


def test_help_needs_no_semicolon(typed):
    """It tells of the prompt, and is not taken for the beginning of a query."""
    printed = typed("help\rselect 40 + 4;\rexit\r")

    assert "describe gold.customer_features;" in printed
    assert "44" in printed


def test_queries_are_remembered(typed, lake):
    """The next prompt finds them with the arrow key; they are kept under SHOPSPHERE_VAR."""
    typed("select 40 + 3;\rexit\r")

    assert "43" in typed("\x1b[A\x1b[A\rexit\r")
    assert "select 40 + 3;" in (lake.settings.var_dir / "sql_history").read_text()


def test_tables_are_completed_where_one_is_due():
    """With their grain beside them."""
    offered = completions("select * from gold.customer_f")

    assert {"gold.customer_features"} == set(offered)
    assert offered["gold.customer_features"].startswith("one row per customer")


def test_columns_of_named_tables_and_keywords_are_completed():
    """Also of a table that is named after the cursor; their meaning is beside them."""
    text = "select mo from gold.customer_features"

    assert "[money]" in completions(text, cursor=9)["monetary"]
    assert "monetary" not in completions("select mo")
    assert "where" in completions("from gold.interactions wh")
