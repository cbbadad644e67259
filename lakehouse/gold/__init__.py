"""Gold: the only definition of every feature; each table has a key and an `as_of`, and sees only rows before it."""
