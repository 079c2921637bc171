"""Choosing an embedding for a sentence: scores, exact search over the bank, paths through a paragraph, the selector."""
