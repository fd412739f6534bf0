"""One training loop, many stages. Knows no server, no game and no browser."""
