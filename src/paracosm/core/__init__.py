"""Words that every room uses: worlds, controls, episodes, configs, random streams.

Knows no torch, no game, no network.
"""
