"""The command `quarantine`: which rules rows have broken, with samples, and what became of each raw file."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import polars as pl

    from lakehouse.storage import Lake


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command()(quarantine)


def quarantine(
    table: Annotated[
        str | None, typer.Argument(help="One raw table, for example transactions; all where absent.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that broke this rule.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="How many rows to show of each rule that rejects.")] = 2,
    files: Annotated[bool, typer.Option("--files", help="Rows in, good and quarantined of each raw file.")] = False,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Check rules over whole tables too, such as shared sessions; reads all facts."),
    ] = False,
) -> None:
    """List the rules that raw rows broke: rejected (with sample rows), repaired, or kept with a warning.

    A rejected row is open until a later file brings a good row of the same key.
    """
    from lakehouse import quarantine as found
    from lakehouse.contracts import TABLES
    from lakehouse.errors import ConfigurationError
    from lakehouse.query_output import show
    from lakehouse.settings import Settings
    from lakehouse.storage import Lake

    if table is not None and table not in TABLES:
        raise ConfigurationError(f"no raw table {table!r}: there are {', '.join(TABLES)}")
    if files and (rule is not None or whole):
        raise ConfigurationError("--files accounts for files, not for rules: leave --rule and --whole away")
    if rule is not None:
        _check_rule(rule, table, whole=whole)
    lake = Lake(Settings())
    lake.delta("silver.transactions")  # says what to do where nothing was built yet
    if files:
        show(found.by_file(lake, table))
        return
    import polars as pl

    broken = pl.concat([found.by_rule(lake, table), *([found.of_tables(lake, table)] if whole else [])])
    if rule is not None:
        broken = broken.filter(pl.col("rule") == rule)
    if broken.is_empty():
        typer.echo("no row has broken a rule" if rule is None else f"no row has broken {rule!r}")
        return
    show(broken)
    for name, rejecting in broken.filter(pl.col("severity") == "reject").select("table", "rule").iter_rows():
        _sample(lake, name, rejecting, samples)


def _check_rule(rule: str, table: str | None, *, whole: bool) -> None:
    from difflib import get_close_matches

    from lakehouse.contracts import TABLES, rules
    from lakehouse.errors import ConfigurationError
    from lakehouse.table_rules import TABLE_RULES

    of_rows = {name for each in TABLES if table in (None, each) for name in rules(each)}
    of_tables = {found.name for each, some in TABLE_RULES.items() if table in (None, each) for found in some}
    if rule in of_tables and not whole:
        raise ConfigurationError(f"{rule!r} is a rule over whole tables: add --whole")
    if rule not in of_rows | of_tables:
        near = ", ".join(get_close_matches(rule, sorted(of_rows | of_tables)))
        meant = f", did you mean {near}?" if near else "; `shopsphere quarantine` lists those that were broken"
        raise ConfigurationError(f"no such rule {rule!r}{f' of {table}' if table else ''}{meant}")


def _sample(lake: "Lake", table: str, rule: str, limit: int) -> None:
    from lakehouse import quarantine as found
    from lakehouse.wording import printable

    rows: pl.DataFrame = found.examples(lake, table, rule, limit)
    for row in rows.iter_rows(named=True):
        text = f"{table} {rule}: {row['source_file']} line {row['source_line']}: {row['raw']}"
        typer.echo(printable(text).replace("\n", "\\n"))
