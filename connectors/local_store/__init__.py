"""The local store: Parquet files that one manifest names, and DuckDB views over them."""

from connectors.local_store.errors import StoreError
from connectors.local_store.manifest import Manifest, RunRecord, StoredFile
from connectors.local_store.store import LocalStore

__all__ = ["LocalStore", "Manifest", "RunRecord", "StoreError", "StoredFile"]
