"""Sound on the host: files, frames, log-mels, pitch. NumPy only."""
