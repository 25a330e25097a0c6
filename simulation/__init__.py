"""Sensors that are not there: their readings, and all that goes wrong on the way of messages."""
