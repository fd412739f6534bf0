"""Layers of neural networks. Knows no control, no game and no noise schedule."""
