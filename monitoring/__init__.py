"""Monitoring of what was predicted against what happened."""
