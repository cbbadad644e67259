"""The lake: raw CSVs to Delta tables, features, SQL and the prediction log. Knows nothing of models or gRPC."""
