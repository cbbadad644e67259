"""The prompt of `shopsphere sql`: completion, history and colours for people, statement after statement for pipes."""

import re
from collections.abc import Iterable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from lakehouse.dictionary import tables
from lakehouse.errors import ShopSphereError
from lakehouse.query_output import COUNTED_ROWS, as_table
from lakehouse.query_session import Session
from lakehouse.storage import Lake

LEAVE = ("exit", "quit", "exit;", "quit;")
HELP = ("help", "help;", "?")
HELP_TEXT = """Queries end with ; and may span lines.  Tab completes tables and columns.  Ctrl-C drops what was typed.
  show tables;                         the tables, with what a row of each is
  describe gold.customer_features;     its columns, with unit and meaning
  exit                                 leaves
`shopsphere sql --examples` lists queries that come with the shop."""
KEYWORDS = (
    "select from where group by order by all limit having join left join asof join using on as and or not in is null "
    "between case when then else end distinct count sum avg min max date_trunc interval timestamp with union describe "
    "show tables explain desc qualify over partition by coalesce filter"
)
WORD = re.compile(r"[\w.]+")


class SqlCompleter(Completer):
    """Completes tables after FROM and the like; elsewhere the columns of the tables named so far, and keywords."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What may stand at the cursor, tables and columns with their meaning beside them."""
        word = document.get_word_before_cursor(pattern=WORD)
        before = document.text_before_cursor.removesuffix(word).split()
        wants_table = bool(before) and before[-1].lower() in ("from", "join", "describe", "desc", "table")
        for text, meaning in self._choices(document.text, wants_table=wants_table):
            if text.startswith(word.lower()) and (word or wants_table):
                yield Completion(text, start_position=-len(word), display_meta=meaning)

    def _choices(self, text: str, *, wants_table: bool) -> Iterable[tuple[str, str]]:
        if not wants_table:
            named = set(WORD.findall(text.lower()))
            columns: dict[str, str] = {}
            for table in tables().values():
                if table.name in named:
                    columns |= {name: str(meaning) for name, meaning in table.columns.items()}
            yield from sorted(columns.items())
            yield from ((keyword, "") for keyword in sorted(set(KEYWORDS.split())))
        yield from ((table.name, table.grain) for table in tables().values())


def prompt(session: Session, lake: Lake, **terminal: Any) -> None:
    """Answer queries, each ended by `;`, until the end of the input or `exit`; Ctrl-C drops what was typed.

    The history is kept in `sql_history` under SHOPSPHERE_VAR; `terminal` goes to prompt_toolkit (input, output).
    """
    lake.settings.var_dir.mkdir(parents=True, exist_ok=True)
    asking: PromptSession[str] = PromptSession(
        lexer=PygmentsLexer(SqlLexer),
        completer=SqlCompleter(),
        history=FileHistory(lake.settings.var_dir / "sql_history"),
        multiline=True,
        prompt_continuation="        ... ",
        key_bindings=_bindings(),
        **terminal,
    )
    print(
        "Queries end with ;  `show tables;` and `describe TABLE;` say what there is.  `help` says more, `exit` leaves."
    )
    while True:
        try:
            text = asking.prompt("shopsphere> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if text.strip().lower() in LEAVE:
            return
        if text.strip().lower() in HELP:
            print(HELP_TEXT)
        else:
            answer(session, text)


def answer(session: Session, text: str) -> None:
    """Print the answers of some statements, or what is wrong with them."""
    try:
        for statement in session.statements(text):
            print(as_table(session.ask(statement, limit=COUNTED_ROWS + 1)))
    except ShopSphereError as error:
        print(error)


def _bindings() -> KeyBindings:
    """Enter asks once the text ends with a semicolon; before that it begins a new line."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        text = buffer.text.strip().lower()
        if not text or text.endswith(";") or text in (*LEAVE, *HELP):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    return bindings
