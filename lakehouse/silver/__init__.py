"""Silver: bronze's text cast to types; each row is either good or in quarantine with the rule it broke."""

from lakehouse.silver.build import QUARANTINE, SilverReport, build_silver

__all__ = ["QUARANTINE", "SilverReport", "build_silver"]
