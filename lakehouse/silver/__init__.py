"""Silver: bronze's text cast to types; each row is either good or in quarantine with the rule it broke."""
