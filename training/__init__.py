"""The models: datasets, fits, evaluation, gates and the registry. Knows nothing of gRPC."""
