"""Measures a world against the true game: fidelity, control, stability, speed. Knows no training."""
