"""Measures a world against the true game: fidelity, control, stability, memory, interaction, speed."""
