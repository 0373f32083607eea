"""The overlay: (picture bytes, title, template, font) → a finished 1200 × 630 JPEG.

Imports no other module of it, so that ``overlay.templates`` can be read without Pillow.
"""

import ctypes
import platform
from pathlib import Path

#: Pillow's wheel looks for FriBiDi once, when its fonts are first imported, and shapes no title without it. Lambda has
#: none, so that this one is loaded before any module of the overlay can import them.
FRIBIDI = Path(__file__).parent / "lib" / platform.machine() / "libfribidi.so.0"
ctypes.CDLL(str(FRIBIDI))
