"""Measures a world against the true game: fidelity, control, stability, speed, determinism. Knows no training."""
