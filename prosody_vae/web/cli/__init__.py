"""The verbs `copycat web` and `copycat serve`."""
