"""BigQuery SQL for DuckDB: translated where the meaning can be kept, refused where it cannot."""

from connectors.bigquery_sql.answer import answer
from connectors.bigquery_sql.errors import QueryError, UnexplainedError
from connectors.bigquery_sql.translate import Translation, install_functions, translate

__all__ = [
    "QueryError",
    "Translation",
    "UnexplainedError",
    "answer",
    "install_functions",
    "translate",
]
