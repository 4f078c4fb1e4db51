"""The states of a connection (RFC 9293, 3.3.2), a bit each: a set is one test. Header module.

    passive open          active open
        LISTEN              SYN_SENT
           \\                 /
          SYN_RECEIVED ->  ESTABLISHED
           close /               \\ FIN arrives
        FIN_WAIT_1              CLOSE_WAIT
        /    \\                     | close
  FIN_WAIT_2  CLOSING           LAST_ACK
        \\    /                     |
       TIME_WAIT ----------------> CLOSED

LISTEN is a Listener and TIME_WAIT a TimeWait, not a Tcb: a Tcb is in one of the other states.
"""

import cython

CLOSED: cython.uint = 0
SYN_SENT: cython.uint = 2
SYN_RECEIVED: cython.uint = 4
ESTABLISHED: cython.uint = 8
FIN_WAIT_1: cython.uint = 16
FIN_WAIT_2: cython.uint = 32
CLOSE_WAIT: cython.uint = 64
CLOSING: cython.uint = 128
LAST_ACK: cython.uint = 256

# sets of states
SYNCHRONIZED: cython.uint = 504  # ESTABLISHED and everything after it
CAN_RECEIVE: cython.uint = 56  # ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2: text is processed
CAN_SEND: cython.uint = 72  # ESTABLISHED, CLOSE_WAIT: the application may send

# what has happened to a connection since its handler last ran
EVENT_OPEN: cython.uint = 1
EVENT_DATA: cython.uint = 2
EVENT_EOF: cython.uint = 4
EVENT_WRITABLE: cython.uint = 8
EVENT_TIMEOUT: cython.uint = 16
EVENT_CLOSE: cython.uint = 32
EVENT_TROUBLE: cython.uint = 64

# loss recovery
OPEN: cython.uint = 0  # nothing known to be lost
FAST: cython.uint = 1  # fast recovery (RFC 8985, RFC 6582)
LOSS: cython.uint = 2  # after a retransmission timeout (RFC 6298, 5.4)
DISORDER: cython.uint = 3  # not known to be lost, but in doubt
