"""What a call can fail with: neutral errors of the core, and how gRPC and REST say them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

DOMAIN = "shopsphere"
MAX_TEXT_BYTES = 1000
"""Of a status' message: percent-encoded and with its details in base64 it stays within the 8 KiB of headers that
clients surely take."""
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}


@dataclass(frozen=True)
class Violation:
    """One field of a request that cannot be right, and why."""

    field: str
    description: str


@dataclass(eq=False)
class CallError(Exception):
    """A call, or one item of a batch, that has no answer: canonical code, stable reason, a sentence for people."""

    code: str
    reason: str
    message: str
    violations: tuple[Violation, ...] = ()
    resource: tuple[str, str] | None = None
    retry_seconds: float | None = None

    @property
    def number(self) -> int:
        """The canonical gRPC status code."""
        return int(code_pb2.Code.Value(self.code))


def invalid(violations: Sequence[Violation]) -> CallError:
    """All that is wrong with a request's fields."""
    listed = "; ".join(f"{violation.field} {violation.description}" for violation in violations)
    return CallError("INVALID_ARGUMENT", "INVALID_FIELD", listed, tuple(violations))


def unreadable() -> CallError:
    """The bytes of a request are no message of the type that its method takes."""
    return CallError(
        "INVALID_ARGUMENT",
        "UNREADABLE_REQUEST",
        "the request cannot be decoded: send this method's request message, as the server's .proto files have it",
    )


UNKNOWN_CAMPAIGN = "UNKNOWN_CAMPAIGN"


def not_found(kind: str, name: str, message: str) -> CallError:
    """Something that is not there."""
    return CallError("NOT_FOUND", f"UNKNOWN_{kind.upper()}", message, resource=(kind, name))


def no_champion(use_case: str) -> CallError:
    """The use case was never trained."""
    return CallError(
        "FAILED_PRECONDITION",
        "NO_CHAMPION",
        f"{use_case} has no champion yet: run `shopsphere train {use_case} --promote`",
        resource=("model", use_case),
    )


def starting() -> CallError:
    """The first state is not loaded yet."""
    return CallError("UNAVAILABLE", "STARTING", "the server is starting: try again in a second", retry_seconds=1)


def internal(error_id: str) -> CallError:
    """A fault of ours; the id finds the traceback in the server's log."""
    return CallError("INTERNAL", "INTERNAL", f"internal error {error_id}: look for this id in the server's log")


def to_status(error: CallError) -> status_pb2.Status:
    """The error as google.rpc.Status with its details, short enough for the headers that it travels in."""
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if error.violations:
        listed = [
            error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=listed))
    if error.resource:
        kind, name = error.resource
        details.append(error_details_pb2.ResourceInfo(resource_type=kind, resource_name=_short(name)))
    if error.retry_seconds is not None:
        delay = duration_pb2.Duration(nanos=int(error.retry_seconds * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=error.number, message=_short(error.message))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _short(text: str) -> str:
    """A text without what is too much of it; what a request has named may be megabytes."""
    encoded = text.encode()
    return text if len(encoded) <= MAX_TEXT_BYTES else encoded[:MAX_TEXT_BYTES].decode(errors="ignore") + "…"


def to_json(error: CallError) -> dict[str, Any]:
    """The error as REST says it beside `ok: false`."""
    document: dict[str, Any] = {"code": error.code, "reason": error.reason, "message": error.message}
    if error.violations:
        document["violations"] = [{"field": v.field, "description": v.description} for v in error.violations]
    return document
