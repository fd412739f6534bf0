"""Logs of other recorders: their frames and controls as recordings of this project."""
