"""Putting the pipeline into production: what it needs there, and what that costs."""
