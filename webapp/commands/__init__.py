"""The commands of ``ssang``, one a module. Nothing heavy is imported before it is needed."""
