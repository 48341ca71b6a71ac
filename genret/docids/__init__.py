"""Docid schemes: from a collection to one row of symbols a document."""
