"""The tables of a collection's file."""

# "ssan" in ASCII: marks the file as a collection.
APPLICATION_ID = 0x7373616E

# It counts up whenever the schema or the tokens of keywords change: what was indexed can be taken
# out of the keywords only by the same tokens.
USER_VERSION = 1

# A vector of 384 floats is 1.5 KiB, and one of 1024 is 4 KiB: neither fits pages of 4 KiB well.
PAGE_SIZE = 8192

# Numbers of rows are never used again (AUTOINCREMENT), so that an index that comes late mistakes
# no passage for another.
SCHEMA = (
    "CREATE TABLE collection (created REAL NOT NULL)",
    """
    CREATE TABLE spaces (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        model TEXT NOT NULL,
        hash TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        precision TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('serving', 'building', 'retired'))
    )""",
    "CREATE UNIQUE INDEX one_space_a_state ON spaces (state) WHERE state != 'retired'",
    """
    CREATE TABLE documents (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        text TEXT NOT NULL,
        metadata TEXT NOT NULL,
        content_hash TEXT NOT NULL
    )""",
    # The metadata once more, as filters compare it: an index finds what a filter asks for.
    """
    CREATE TABLE metadata_values (
        document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        key TEXT NOT NULL,
        text TEXT NOT NULL,
        number REAL,
        PRIMARY KEY (document, key, text)
    ) WITHOUT ROWID""",
    "CREATE INDEX metadata_texts ON metadata_values (key, text)",
    "CREATE INDEX metadata_numbers ON metadata_values (key, number) WHERE number IS NOT NULL",
    """
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        space INTEGER NOT NULL REFERENCES spaces,
        document INTEGER NOT NULL REFERENCES documents,
        field TEXT NOT NULL,
        start INTEGER NOT NULL,
        "end" INTEGER NOT NULL,
        vector BLOB NOT NULL
    )""",
    "CREATE INDEX passages_of_documents ON passages (document)",
    "CREATE INDEX passages_of_spaces ON passages (space, document)",
    """
    CREATE TABLE removals (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        passage INTEGER NOT NULL
    )""",
    """
    CREATE TABLE generation (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        number INTEGER NOT NULL,
        space INTEGER NOT NULL,
        passage INTEGER NOT NULL,
        removal INTEGER NOT NULL
    )""",
    # By passage. The documents hold the text already (content=''), so that BM25 finds how often a
    # token occurs in the positions alone (detail=full), and lengths in sizes (columnsize=1).
    # tokens() folds letters and separates words by spaces; the tokenizer ascii only splits there,
    # while unicode61 would take accents off and split by its own, changing, tables.
    """
    CREATE VIRTUAL TABLE keywords USING fts5 (
        tokens, content='', detail=full, columnsize=1, tokenize='ascii'
    )""",
)
