"""The offline image API: answers as OpenAI's and Gemini's image endpoints do, with pictures drawn on this machine.

Point the real SDKs at it with ``OPENAI_BASE_URL=http://127.0.0.1:4567/v1`` and
``GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:4567``; any non-empty key will do. ``python -m thumbs.image_api`` runs it,
``thumbs.image_api.server`` documents its control API, ``thumbs.image_api.control`` is the client of that.
"""
