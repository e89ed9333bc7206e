"""Perdure keeps a model learning from changing data without losing what it knew, and proves it."""
