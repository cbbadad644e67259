"""Gold: the only definition of every feature, as of a moment."""
