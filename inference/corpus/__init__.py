"""Collections of documents, searched by meaning and by words."""
