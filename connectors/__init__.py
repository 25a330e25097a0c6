"""Sources and sinks: where readings come from and where results go."""
