"""Benchmarks: what the main job costs, beside what else one could use."""
