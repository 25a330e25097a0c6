"""Schemas: what a reading is, and the columns of every table."""
