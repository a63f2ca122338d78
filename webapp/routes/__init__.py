"""Routes: each parses, makes one engine call and shapes the reply."""
