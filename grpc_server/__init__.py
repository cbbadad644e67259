"""The wire: a typed gRPC server with a small REST shim that serves all models from the lake's features."""
