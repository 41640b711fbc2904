"""What a person or a robot may see of the tracker: the page for a broken link, robots.txt, and the image."""

from __future__ import annotations

PIXEL_GIF = bytes.fromhex(
    "47494638396101000100"  # GIF89a, 1 × 1
    "800000"  # a palette of two colours, background 0
    "000000ffffff"  # black, white
    "21f90401000000002c"  # graphic control: colour 0 is transparent; image descriptor follows
    "000000000100010000"  # the whole picture, no local palette
    "0202440100"  # LZW, two bits: clear, colour 0, end
    "3b"
)
"""A transparent picture of one pixel: 43 bytes, the smallest GIF that every mail client shows."""

ROBOTS_TXT = b"User-agent: *\nDisallow: /\n"
"""Keeps search engines away from links that belong to one person (2-tracking §2)."""

NOT_FOUND_PAGE = b"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>Link not found</title>
<body style="font: 1.1em/1.5 system-ui, sans-serif; max-width: 32em; margin: 4em auto; padding: 0 1em">
<h1>This link does not work</h1>
<p>It may have been cut off or changed on its way to you. Please open the message again
and click the link there, or copy the whole address.</p>
</body>
</html>
"""
"""For people whose link was cut or altered; it says nothing about the sender, for the token could not be read."""
