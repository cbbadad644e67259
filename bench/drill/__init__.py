"""Drills: many writers, killed processes and failing stores, long enough that what is rare happens."""
