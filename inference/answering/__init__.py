"""Answers to questions from the documents of a collection, with their sources."""
