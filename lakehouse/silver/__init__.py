"""Silver: each raw table cast, checked and split into good rows and quarantine."""
