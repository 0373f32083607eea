"""The overlay: (picture bytes, title, template, font) → a finished 1200 × 630 JPEG.

Kept empty, so that ``overlay.templates`` can be read without Pillow.
"""
