"""What streams cost: Kafka, the main job and its store on two cores, broker and producer included.

`python -m benchmarks.streaming` is the command line; `benchmarks/README.md` says what is measured.
"""
