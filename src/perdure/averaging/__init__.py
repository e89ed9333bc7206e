"""Averages of weights over time."""
