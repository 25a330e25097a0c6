"""The dataset of results in BigQuery, and an emulator to test against."""
