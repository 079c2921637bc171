"""The prosody of speech as values, as a file that a person edits, and as times of words and phones."""
