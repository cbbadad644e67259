"""Where raw data comes from: CSVs of the user's own, real grocery receipts, or a generated shop."""
