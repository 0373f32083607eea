"""The page of a blog post, read safely for its title and its text."""
