"""A trained model behind HTTP: a service, and the page that it serves."""
