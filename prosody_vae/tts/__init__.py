"""The VAE text-to-speech model: what it is, what it learns, and how it speaks."""
