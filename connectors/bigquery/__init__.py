"""Tables and views in BigQuery: where they are, how they are made, filled and asked."""
