"""The gRPC services, one file each: message in, core call, message out."""
