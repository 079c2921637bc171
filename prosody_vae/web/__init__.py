"""A page that runs the models in the browser: the static files it is made of, and a server of one's own machine.

It stands above both other packages and is imported by neither: `copycat web` and `copycat serve` name its verbs.
"""
