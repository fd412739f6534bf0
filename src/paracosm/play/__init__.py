"""Playing a world: the session with its past, the server, the page, and what measures them; knows no loss."""
