"""Removes a customer from what servers keep on disk: the prediction spool and the snapshots of features."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from grpc_server.online_features import FORMAT, FeatureSnapshot, write_snapshot
from grpc_server.spool import CLOSED, OPEN, alone, claim_orphans, folders, read_records
from lakehouse.errors import ShopSphereError
from lakehouse.naming import CustomerId
from training.recommend_request import HISTORY

PRODUCTS = "gold.product_features"
GONE = ".gone"
ROTATION_SECONDS = 10.0
"""A worker closes its spool file within some seconds."""


class SpoolError(ShopSphereError):
    """The spool cannot be cleaned."""


def forget_spooled(spool: Path, customer_id: CustomerId) -> int:
    """Take the customer's answers out of the spool, and give their number.

    Raises:
        SpoolError: a running server does not let go of a file that holds some.
    """
    deadline = time.monotonic() + ROTATION_SECONDS
    count = 0
    while True:
        with alone(spool):
            for folder in folders(spool):
                claim_orphans(folder)
            count += sum(_clean(path, customer_id) for path in sorted(spool.glob(f"*/*{CLOSED}")))
        busy = [path for path in spool.glob(f"*/*{OPEN}") if _names(path, customer_id)]
        if not busy:
            return count
        if time.monotonic() > deadline:
            raise SpoolError(f"a server still writes {busy[0]}, which names the customer: stop it, then run this again")
        time.sleep(0.2)


def forget_served(serving: Path, customer_id: CustomerId) -> int:
    """Take the customer out of every server's snapshots, and give the number of snapshots that held them.

    A running server answers from what it has mapped until its follower drops a snapshot of the newest version.
    """
    count = 0
    if not isinstance(customer_id, int):
        return 0
    for header in sorted(serving.glob("*/features/*/*/snapshot.json")):
        # what a run before this one was killed over, or a server of another version wrote and nobody can read
        if header.parent.suffix == GONE or not header.parent.name.endswith(f"-{FORMAT}"):
            shutil.rmtree(header.parent)
            continue
        snapshot = FeatureSnapshot(header.parent)
        if snapshot.key == "customer_id" and snapshot.positions(np.array([customer_id]))[0] >= 0:
            _replace(header.parent, customer_id)
            count += 1
    return count


def _clean(path: Path, customer_id: CustomerId) -> int:
    """Write a closed spool file again without the customer; its number stays, so that it is committed once."""
    records = read_records(path)
    kept = [_without(record, customer_id) for record in records]
    gone = sum(len(record["ids"]) for record in records) - sum(len(record["ids"]) for record in kept)
    if gone:
        scratch = path.with_suffix(".part")
        scratch.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in kept))
        scratch.replace(path)
    return gone


def _names(path: Path, customer_id: CustomerId) -> bool:
    try:
        return any(_positions(record, customer_id) for record in read_records(path))
    except FileNotFoundError:
        return False


def _positions(record: Mapping[str, Any], customer_id: CustomerId) -> list[int]:
    if record.get("feature_table") == PRODUCTS:
        return []
    return [number for number, entity in enumerate(record["entity_ids"]) if _means(entity, customer_id)]


def _means(entity: str, customer_id: CustomerId) -> bool:
    if not isinstance(customer_id, int):
        return entity.strip() == customer_id
    try:
        return float(entity) == customer_id
    except ValueError:
        return False


def _without(record: Mapping[str, Any], customer_id: CustomerId) -> dict[str, Any]:
    """The record less the customer's items; whatever has one entry per item loses theirs."""
    gone, count = set(_positions(record, customer_id)), len(record["ids"])

    def kept(value: Any) -> Any:
        if isinstance(value, list) and len(value) == count:
            return [item for number, item in enumerate(value) if number not in gone]
        return value

    columns = {name: kept(values) for name, values in record["columns"].items()}
    return {name: kept(value) for name, value in record.items()} | {"columns": columns} if gone else dict(record)


def _replace(folder: Path, customer_id: int) -> None:
    snapshot = FeatureSnapshot(folder)
    arrays = snapshot.arrays()
    kept = arrays["customer_id"] != customer_id
    parts = {name: array[kept] for name, array in arrays.items() if len(array) == len(kept)}
    if "starts" in arrays:
        parts |= _histories(arrays, kept)
    scratch, gone = folder.with_suffix(".part"), folder.with_suffix(GONE)
    for path in (scratch, gone):
        shutil.rmtree(path, ignore_errors=True)
    write_snapshot(
        scratch,
        table=snapshot.table,
        version=snapshot.version,
        as_of=snapshot.as_of,
        key=snapshot.key,
        arrays=parts,
    )
    folder.rename(gone)
    scratch.rename(folder)
    shutil.rmtree(gone)


def _histories(arrays: Mapping[str, Any], kept: Any) -> dict[str, Any]:
    """Each remaining customer's slice of products and weights, moved up where the customer's was before it."""
    lengths = arrays["ends"] - arrays["starts"]
    rows = np.repeat(kept, lengths)
    ends = np.cumsum(lengths[kept])
    history = {name: arrays[name][rows] for name in HISTORY}
    return {"customer_id": arrays["customer_id"][kept], **history, "starts": ends - lengths[kept], "ends": ends}
