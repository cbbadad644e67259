"""Where raw data comes from: five CSVs of the user's own, real grocery receipts, or a generated shop."""
