"""Flows of many captures as Parquet files that other programs read as they lie (docs/formats/lake.md)."""
