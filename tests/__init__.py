"""Tests of Paracosm: a folder for each room, and others for laws, contracts, documents and the browser."""
