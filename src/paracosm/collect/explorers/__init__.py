"""Scripted players that know a game's level by heart and walk it evenly, so that recordings cover it."""
