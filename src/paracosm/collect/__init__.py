"""Recordings from games, environments and other people's videos: worlds to record, players, and the recorder."""
