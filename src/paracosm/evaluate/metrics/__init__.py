"""The figures themselves: pure functions on frames, features and poses, each with a card."""
