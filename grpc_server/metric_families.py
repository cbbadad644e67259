"""The metrics of a server: name, kind, meaning, labels, and what the numbers of its processes are together.

Labels are bounded: services, methods and codes are ours, a version is one that was promoted.
"""

import time
from collections.abc import Iterable

from grpc_server.exposition import Family


def _since_oldest(moments: Iterable[float]) -> float:
    return time.time() - min(moments)


REQUESTS = Family(
    "shopsphere_requests", "counter", "Calls by outcome.", ("service", "method", "code", "model_version", "transport")
)
SECONDS = Family(
    "shopsphere_request_seconds", "histogram", "Time to answer a call.", ("service", "method", "transport")
)
QUEUE = Family("shopsphere_queue_seconds", "histogram", "Time that a call waited for a thread, of those that need one.")

MODEL = Family(
    "shopsphere_model_seconds",
    "histogram",
    "Time that the model takes for a call; none where the answer is precomputed.",
    ("use_case",),
)
IN_FLIGHT = Family("shopsphere_in_flight", "gauge", "Calls being answered.")
AGE = Family(
    "shopsphere_feature_age_seconds", "gauge", "Time since the features' as_of.", ("table",), together=_since_oldest
)
MODELS = Family(
    "shopsphere_model_info", "gauge", "The models that answer.", ("use_case", "version", "alias"), together=max
)
READY = Family("shopsphere_workers_ready", "gauge", "Workers that have loaded what they answer from.")
BACKLOG = Family("shopsphere_log_backlog_records", "gauge", "Records that wait to be committed; a batch is one.")
BACKLOG_BYTES = Family("shopsphere_log_backlog_bytes", "gauge", "Bytes of records that wait to be committed.")
SPOOL_BYTES = Family("shopsphere_spool_bytes", "gauge", "Disk that the spool takes, with what open files reserve.")
SPOOL_LIMIT = Family("shopsphere_spool_limit_bytes", "gauge", "Disk that the spool may take.", together=max)
DROPPED = Family("shopsphere_log_dropped", "counter", "Records dropped because the spool took none.")
REFUSING = Family("shopsphere_log_refusing", "gauge", "1 while a worker drops records.", together=max)
SHIPPED = Family("shopsphere_log_shipped_records", "counter", "Records committed to the prediction log.")
SHIP_FAILURES = Family("shopsphere_log_ship_failures", "counter", "Attempts to commit records that failed.")
CHALLENGER = ("use_case", "version")
SCORED = Family("shopsphere_challenger_scored", "counter", "Answers that a shadow was scored for.", CHALLENGER)
SKIPPED = Family("shopsphere_challenger_skipped", "counter", "Answers committed without their shadow.", CHALLENGER)
APART = Family(
    "shopsphere_challenger_disagreement", "gauge", "How far a shadow's answers are from the champion's.", CHALLENGER
)
RESTARTS = Family("shopsphere_process_restarts", "counter", "Processes that died and were started again.", ("process",))
BUILD = Family("shopsphere_build_info", "gauge", "What runs.", ("version", "python"), together=max)
FAMILIES = (
    *(REQUESTS, SECONDS, QUEUE, MODEL, IN_FLIGHT, AGE, MODELS, READY),
    *(BACKLOG, BACKLOG_BYTES, SPOOL_BYTES, SPOOL_LIMIT, DROPPED, REFUSING, SHIPPED, SHIP_FAILURES),
    *(SCORED, SKIPPED, APART, RESTARTS, BUILD),
)
GAUGES = {family.name for family in FAMILIES if family.kind == "gauge"}
