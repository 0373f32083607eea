"""Makes the bytes of pictures: drawn in a small thread pool, kept for the next call that asks for the same."""

import io
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

from PIL import Image

from thumbs.image_api.dialect import Order, PictureFormat
from thumbs.image_api.drawing import draw
from thumbs.image_api.faults import Fault


class Artist:
    """Draws the pictures that orders ask for, off the event loop, each distinct one once."""

    def __init__(self, threads: int = 2, keep_bytes: int = 64 * 1024 * 1024) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="artist")
        self._lock = threading.Lock()
        self._futures: OrderedDict[tuple[Order, Fault | None], Future[bytes]] = OrderedDict()
        self._keep_bytes = keep_bytes
        self.kept_bytes = 0

    def picture(self, order: Order, fault: Fault | None = None) -> Future[bytes]:
        """The bytes of an order's picture, spoilt as a fault says; calls that ask for the same share one drawing."""
        key = (order, fault)
        with self._lock:
            if (future := self._futures.get(key)) is not None:
                self._futures.move_to_end(key)
                return future
            future = self._futures[key] = self._pool.submit(self._make, order, fault)
        return future

    def close(self) -> None:
        """Stop drawing; what waits in the queue is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, order: Order, fault: Fault | None) -> bytes:
        try:
            picture = encoded(order) if fault is None else spoilt(order, fault)
        except BaseException:
            with self._lock:
                del self._futures[order, fault]
            raise
        with self._lock:
            self.kept_bytes += len(picture)
            # The oldest first, but none that is still being drawn: it has not been added up yet.
            for key in [key for key, future in self._futures.items() if future.done()]:
                if self.kept_bytes <= self._keep_bytes:
                    break
                self.kept_bytes -= len(self._futures.pop(key).result())
        return picture


def encoded(order: Order) -> bytes:
    """An order's picture in the format that it asks for."""
    prompt = order.prompt + f" {order.number + 1}" * (order.number > 0)
    return encode(draw(prompt, order.model, order.width, order.height), order.format, order.quality)


def encode(image: Image.Image, format_: PictureFormat, quality: int = 85) -> bytes:
    """A picture's bytes; PNG by the strategy that is cheap, since it only travels over loopback."""
    buffer = io.BytesIO()
    if format_ == "png":
        image.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    elif format_ == "webp":
        image.save(buffer, "WEBP", quality=quality, method=0)
    else:
        image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def spoilt(order: Order, fault: Fault) -> bytes:
    """What a fault makes of an order's picture."""
    if fault.fault == "huge_picture":
        return _huge_png()
    if fault.fault == "not_a_picture":
        return b"These bytes are no picture. " * 200
    if fault.fault == "odd_mode":
        return _odd(draw(order.prompt, order.model, order.width, order.height), fault.variant or "cmyk")
    picture = encoded(order)
    return picture[: len(picture) // 2]


@lru_cache(maxsize=1)
def _huge_png(width: int = 10_000, height: int = 6_000) -> bytes:
    """60 megapixels of one grey, written by hand: Pillow would need 60 MB for it."""
    compressor = zlib.compressobj(1)
    row = b"\x00" + b"\x78" * width
    data = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _sixteen_bit(image: Image.Image) -> Image.Image:
    # "I" scaled by 257 is what a 16-bit greyscale file holds.
    return image.convert("I").point(lambda value: value * 257).convert("I;16")


def _alpha(image: Image.Image) -> Image.Image:
    faded = image.copy()
    faded.putalpha(Image.linear_gradient("L").resize(image.size))
    return faded


_ODD: dict[str, tuple[Callable[[Image.Image], Image.Image], str]] = {
    "cmyk": (lambda image: image.convert("CMYK"), "JPEG"),
    "palette": (lambda image: image.quantize(64), "PNG"),
    "16bit": (lambda image: _sixteen_bit(image.convert("L")), "PNG"),
    "alpha": (_alpha, "PNG"),
    "gray": (lambda image: image.convert("L"), "JPEG"),
    "gray_alpha": (lambda image: image.convert("LA"), "PNG"),
    "one_bit": (lambda image: image.convert("1"), "PNG"),
}


def _odd(image: Image.Image, variant: str) -> bytes:
    convert, format_ = _ODD[variant]
    buffer = io.BytesIO()
    convert(image).save(buffer, format_)
    return buffer.getvalue()
