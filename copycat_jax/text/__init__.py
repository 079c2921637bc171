"""Written English to phonemes."""
