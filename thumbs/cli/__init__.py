"""The command ``thumbs``: commands that parse, ask the domain and print."""
