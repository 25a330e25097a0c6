"""Sources that do not end: one way of reading them, and one module for each kind."""
