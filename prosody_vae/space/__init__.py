"""The prosody space: a table of embeddings, its files, and how it is built from a corpus."""
