"""Evaluation of the selector: measures of its choices, of the speech made with them, and the tables of both."""
