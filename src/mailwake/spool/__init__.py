"""Copies that wait for another attempt, on disk."""
