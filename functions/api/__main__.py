"""Prints the API's OpenAPI document."""

import json

from api.app import app
from api.openapi import document

print(json.dumps(document(app), indent=2, ensure_ascii=False))
