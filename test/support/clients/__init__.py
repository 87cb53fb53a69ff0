"""Who calls the server, and what it is answered."""
