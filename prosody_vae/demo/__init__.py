"""The demo: sentences spoken in several ways, and the page to hear them on."""
