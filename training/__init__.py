"""The recipe of the embedded models, from text files to `models/`; see README.md beside this."""
