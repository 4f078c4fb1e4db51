"""Corten: a TCP/IP stack you can import."""

__version__ = "0.1.0"
