"""Trained models for runtimes of others, written from a bundle's arrays: no tracing, nothing of JAX in what is written.

`graph` builds ONNX graphs (the door of onnx), `layers` knows the project's layers in them; `copycat`, `speaker` and
`vocoder` write the models' graphs.
"""
