"""The generated shop: the same bytes, the contract's identities, dirt that is all listed, truth that is true."""

import hashlib
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from lakehouse.errors import ConfigurationError
from lakehouse.ingest import ingest
from lakehouse.settings import Settings
from lakehouse.silver.build import build_silver
from lakehouse.sources import synthetic
from lakehouse.sources.synthetic import people
from lakehouse.sources.synthetic.shop import Shop
from lakehouse.storage import Lake
from shopsphere_cli.main import make_app

SIZE = {"customers": 300, "products": 30, "days": 300}
CLEAN_MODES = {
    "rich": synthetic.knobs_of("rich", **SIZE),
    "deep": synthetic.knobs_of("rich", deep=True, **SIZE),
    "kaggle": synthetic.knobs_of("kaggle", customers=500, products=30, days=300),
}


def made(folder: Path, knobs: synthetic.Knobs, **how: object) -> Path:
    """The folder, with a shop in it."""
    synthetic.generate(folder / "raw", folder / "truth", knobs, **how)
    return folder


@pytest.fixture(scope="module", params=CLEAN_MODES.values(), ids=CLEAN_MODES.keys())
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of each mode."""
    return made(tmp_path_factory.mktemp("shop"), request.param)


def raw(folder: Path, table: str) -> pl.DataFrame:
    """A raw file with types."""
    return pl.read_csv(folder / "raw" / f"{table}.csv", try_parse_dates=True, infer_schema_length=None)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.*"))
    }


@pytest.mark.parametrize("dirty", [False, True])
def test_same_seed_same_bytes(tmp_path: Path, dirty: bool) -> None:
    """Two runs give the same files, raw and truth; another seed changes each of them."""
    one, again, other = (
        digests(made(tmp_path / name, synthetic.knobs_of("rich", dirty=dirty, seed=seed, **SIZE)))
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert one == again
    other.pop("truth/dirt.parquet") if not dirty else None
    assert [name for name, digest in other.items() if digest == one[name]] == []


@pytest.mark.parametrize("knobs", CLEAN_MODES.values(), ids=CLEAN_MODES)
def test_the_order_of_blocks_changes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knobs) -> None:
    """Backwards, with blocks of a hundred customers, every file has the same rows."""
    monkeypatch.setattr("lakehouse.sources.synthetic.shop.BLOCK", 100)
    monkeypatch.setattr(people, "BLOCK", 100)
    monkeypatch.setattr("lakehouse.sources.synthetic.kaggle.BLOCK", 2000)
    backwards = range(Shop.of(knobs).blocks - 1, -1, -1)
    folders = [made(tmp_path / "forwards", knobs), made(tmp_path / "backwards", knobs, order=backwards)]
    assert len(backwards) >= 3
    for name in digests(folders[0]):
        if name.endswith(".csv"):
            one, other = ((folder / name).read_text().splitlines() for folder in folders)
            assert sorted(one) == sorted(other)
        else:
            one, other = (pl.read_parquet(folder / name) for folder in folders)
            assert one.sort(one.columns[:3]).equals(other.sort(one.columns[:3]))


def test_revenue_is_what_the_price_says(folder: Path) -> None:
    """To the cent: price x quantity x (1 - discount), negative for refunds; empty only with the product."""
    sales = raw(folder, "transactions").join(raw(folder, "products"), on="product_id", how="left")
    assert sales["product_id"].is_null().equals(sales["gross_revenue"].is_null())
    for sale in sales.drop_nulls("product_id").iter_rows(named=True):
        price, discount = Decimal(str(sale["base_price"])), Decimal(str(sale["discount_applied"]))
        full = (price * sale["quantity"] * (1 - discount)).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        assert Decimal(str(sale["gross_revenue"])) == (-full if sale["refund_flag"] else full)


def test_purchases_are_transactions(folder: Path) -> None:
    """Each purchase event has one transaction of the same moment, customer, product and campaign; keys are unique."""
    key = ["timestamp", "customer_id", "product_id", "campaign_id"]
    events, sales = raw(folder, "events"), raw(folder, "transactions")
    purchases = events.filter(pl.col("event_type") == "purchase").select(key)
    assert purchases.sort(key).equals(sales.select(key).sort(key))
    assert events["event_id"].is_unique().all()
    assert sales["transaction_id"].is_unique().all()


def test_events_have_what_the_contract_says(folder: Path) -> None:
    """A campaign is linked exactly where the source is paid; only bounces and purchases may lack a product."""
    events = raw(folder, "events")
    paid = events["traffic_source"].str.to_lowercase().is_in(["paid search", "social", "email"])
    assert paid.equals(events["campaign_id"] > 0)
    assert {"bounce"} <= set(events.filter(pl.col("product_id").is_null())["event_type"]) <= {"bounce", "purchase"}
    assert events["customer_id"].is_in(raw(folder, "customers")["customer_id"].implode()).all()
    assert events["product_id"].drop_nulls().is_in(raw(folder, "products")["product_id"].implode()).all()


def test_a_clean_shop_breaks_no_rule(tmp_path: Path) -> None:
    """Silver accepts every row, and warns of nothing: nobody acts before signup or buys before a launch."""
    folder = made(tmp_path, synthetic.knobs_of("rich", **SIZE))
    lake = Lake(Settings(var_dir=tmp_path, lake_root=""))
    ingest(lake, str(folder / "raw"))
    report = build_silver(lake)
    assert sum(report.quarantined.values()) == 0
    assert report.good["events"] == raw(folder, "events").height
    sales = raw(folder, "transactions").join(raw(folder, "products"), on="product_id")
    assert (sales["timestamp"].dt.date() >= sales["launch_date"]).all()


def test_the_demo_shop_has_eight_broken_lines(tmp_path: Path) -> None:
    """Silver accepts everything except the rows that are broken on purpose."""
    synthetic.write(tmp_path / "raw", **SIZE)
    lake = Lake(Settings(var_dir=tmp_path, lake_root=""))
    ingest(lake, str(tmp_path / "raw"))
    report = build_silver(lake)
    assert report.quarantined == {"customers": 1, "products": 1, "campaigns": 1, "events": 2, "transactions": 3}
    assert report.good["customers"] == SIZE["customers"]


@pytest.mark.parametrize(
    ("given", "named"),
    [({"customers": 0}, "customers 0"), ({"days": 3}, "days 3"), ({"density": -1.0}, "density -1.0")],
)
def test_a_knob_out_of_range_is_refused(given: dict[str, float], named: str) -> None:
    """The error names it and says what may be given."""
    with pytest.raises(ConfigurationError, match=f"{named} is out of range: give"):
        synthetic.knobs_of("rich", **given)


def test_files_of_others_are_not_written_over(tmp_path: Path) -> None:
    """A folder that was generated, or left by an interrupted run, is written anew."""
    folder = made(tmp_path / "shop", CLEAN_MODES["rich"])
    synthetic.check_ours(folder / "raw", folder / "truth")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "events.csv.part").touch()
    synthetic.check_ours(tmp_path / "raw", tmp_path / "truth")
    mine = tmp_path / "raw" / "events.csv"
    mine.write_text("mine")
    done = CliRunner().invoke(make_app(), ["generate", str(tmp_path)])
    assert "has files that were not generated, such as events.csv" in str(done.exception)
    assert mine.read_text() == "mine"
