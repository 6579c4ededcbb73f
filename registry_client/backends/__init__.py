"""Where published versions live; one module per kind of registry."""
