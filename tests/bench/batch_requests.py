"""What the batch benchmark asks for."""

#: Two models whose pictures are JPEGs of 1536 × 1024.
MODELS = ("gpt-image-1", "gpt-image-2")
TITLES = tuple(f"Fan-out beats sequential: lesson {number} of fifty" for number in range(1, 51))
