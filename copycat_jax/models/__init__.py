"""One system per file: model, loss terms, task."""
