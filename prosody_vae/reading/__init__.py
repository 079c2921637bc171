"""Reading a book aloud, sentence by sentence."""
