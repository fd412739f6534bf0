"""Recordings from games, environments and other people's videos: worlds, players and the recorder."""
