"""What the request parser names: limits, verdicts, methods, fields, classes of octets.

Header module. The limits are ours; beside them stands what others chose.
"""

from __future__ import annotations

import cython

# Limits. nginx: 8 KiB a line, 32 KiB in all; Apache: 8190 a line, 100 fields; h11: 16 KiB in all.
HEAD_MAX = 16384  # octets of a head, or 431
TARGET_MAX = 8000  # octets of a request-target, or 414; RFC 9112, 3 asks for 8000 at least
FIELDS_MAX = 100  # field lines of a head, or 431
METHOD_MAX = 32  # octets of a method, or 400
CARRY_FIRST = 1024  # octets of the first carry buffer; it doubles up to HEAD_MAX

# Verdicts; any other is the status to answer.
MORE = 0
DONE = 1

# Methods that a server of files tells apart.
GET = 1
HEAD = 2
OPTIONS = 3
CONNECT = 4
OTHER_METHOD = 5

# Fields it looks at: bit numbers of `seen` and `repeated`; up to TEXT_FIELDS, places in `texts`.
RANGE = 0
IF_RANGE = 1
IF_NONE_MATCH = 2
IF_MODIFIED_SINCE = 3
IF_MATCH = 4
IF_UNMODIFIED_SINCE = 5
TEXT_FIELDS = 6
HOST = 6
CONNECTION = 7
CONTENT_LENGTH = 8
TRANSFER_ENCODING = 9
EXPECT = 10

# Classes of octets.
TOKEN_CLASS = 1  # RFC 9110, 5.6.2
TARGET_CLASS = 2  # visible ASCII without '#': a fragment is never sent
HOST_CLASS = 4  # RFC 3986, 3.2.2 and 3.2.3
BLANK_CLASS = 8  # SP and HTAB: OWS
TEXT_CLASS = 16  # field-content and blanks: no control but HTAB (RFC 9110, 5.5)

# What a line function answers instead of a position; below it, a negated status.
CUT = -2

# HTTP-version, as one big-endian word.
HTTP_1_0: cython.ulonglong = 0x485454502F312E30
HTTP_1_1: cython.ulonglong = 0x485454502F312E31

LENGTH_MAX: cython.ulonglong = 10**18  # a Content-Length beyond it is taken for it
