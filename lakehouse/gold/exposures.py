"""Who was reached by which campaign, until when an answer counts, and whether it came."""

from datetime import datetime, timedelta

import polars as pl

from lakehouse.gold.firsts import Timeline

RESPONSE_WINDOW = timedelta(days=30)
"""How long after an exposure a purchase with the campaign's id counts as a response, unless the campaign ends first."""
DAY = timedelta(days=1)


def exposures(
    events: pl.DataFrame,
    sales: pl.DataFrame,
    campaigns: pl.DataFrame,
    clock: datetime,
    *,
    reached: pl.DataFrame | None = None,
    open_before: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """One row per customer and campaign: as_of, window_end, responded.

    The exposure is the customer's first event of the campaign that is no purchase. The response is a sale with the
    campaign's id before the window ends; it is null while the window has not elapsed by the clock. `sales` are those
    with a campaign. Where events begin at some moment, `reached` are the pairs of all earlier exposures, and
    `open_before` those of them whose outcome was not known by then: only they are among the rows.
    """
    pair = ["customer_id", "campaign_id"]
    linked = pl.col("campaign_id").is_not_null()
    seen = events.lazy().filter(linked, ~pl.col("purchase")).select(*pair, as_of="timestamp").collect()
    first = seen.filter(Timeline(seen["customer_id"], seen["as_of"]).first(seen["campaign_id"]))
    if reached is not None:
        again = reached.filter(pl.col("campaign_id").is_in(first["campaign_id"].unique().implode()))
        first = first.join(again, on=pair, how="anti")
    spans = _spans(campaigns).select("campaign_id", "starts", "ends")
    dated = first.lazy().join(spans, on="campaign_id", how="left")
    found = dated.select(*pair, "as_of", window_end=_window_end()).collect()
    if open_before is not None:
        found = pl.concat([found, open_before.select(found.columns)])
    inside = (pl.col("timestamp") >= pl.col("as_of")) & (pl.col("timestamp") < pl.col("window_end"))
    answers = found.with_row_index("row").join(sales.select(*pair, "timestamp"), on=pair).filter(inside)["row"]
    answered = pl.int_range(pl.len()).is_in(answers.implode()).cast(pl.Int64)
    return found.with_columns(responded=pl.when(pl.col("window_end") <= clock).then(answered))


def facts(campaigns: pl.DataFrame) -> pl.DataFrame:
    """What an exposure's row says of its campaign, by campaign_id."""
    days = (pl.col("ends") - pl.col("starts")).dt.total_seconds() / 86_400
    named = {"uplift_mean": "expected_uplift", "campaign_channel": "channel", "campaign_objective": "objective"}
    return _spans(campaigns).select("campaign_id", campaign_days=days, **named).collect()


def _spans(campaigns: pl.DataFrame) -> pl.LazyFrame:
    starts, ends = (pl.col(name).cast(pl.Datetime("us")) for name in ("start_date", "end_date"))
    return campaigns.lazy().with_columns(starts=starts, ends=ends + DAY)


def _window_end() -> pl.Expr:
    """The campaign's end for those reached as it starts (mailed), else at most 30 days from the exposure.

    Dates that have nothing to do with the exposure (reached long before the start, or after the end) are ignored: the
    rule looks at this exposure alone, so that no later row can move an earlier window.
    """
    reached, starts, ends = pl.col("as_of"), pl.col("starts"), pl.col("ends")
    after = reached + RESPONSE_WINDOW
    mailed = (reached <= starts) & (reached > starts - RESPONSE_WINDOW)
    running = (reached > starts) & (reached < ends)
    return pl.when(mailed).then(ends).when(running).then(pl.min_horizontal(after, ends)).otherwise(after)
