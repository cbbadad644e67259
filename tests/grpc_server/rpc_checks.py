"""What tests look at of a call: its records in the spool, and what a refusal says."""

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from grpc_server.spool import read_records


def logged(tmp_path):
    """All records in the spool."""
    return [record for path in sorted(tmp_path.glob("spool/*/*")) for record in read_records(path)]


def refused(call, request):
    """The canonical code, the reason and the violated fields of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(caught.value).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return caught.value.code().name, info.reason, [violation.field for violation in bad.field_violations]
