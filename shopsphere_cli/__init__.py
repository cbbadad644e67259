"""The one command, which composes the layers."""
