"""The HTTP service: it receives device messages and puts them on a queue."""
