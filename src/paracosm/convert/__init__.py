"""Weights of other projects brought in: named, checked to the last tensor, with their licence."""
