"""Prints the JSON Schema of a brand kit: ``python -m thumbnails.brands``."""

import json

from thumbnails.brands.kit import json_schema

if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
