"""The prosody space: a VAE text-to-speech model whose utterance embedding is selected by linguistic similarity.

After Tyagi et al., "Dynamic Prosody Generation for Speech Synthesis using Linguistics-Driven Acoustic Embedding
Selection" (Interspeech 2020). A room built onto `copycat_jax`: it may use that package's layers, data, trainer and
vocoders, never its models, and nothing there imports this one.
"""
