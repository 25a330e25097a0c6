"""Ready jobs, one module each."""
