"""minifishr."""
