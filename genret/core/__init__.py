"""What every room speaks: collections, docid tables, runs, text, artifacts."""
