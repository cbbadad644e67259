"""Sources: where the five raw tables come from."""
