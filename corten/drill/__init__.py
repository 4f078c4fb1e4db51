"""packetdrill scripts, run against a Stack under virtual time: `corten drill FILE…`.

Strategy. A script is parsed to nodes (`lexer`, `parser`, `packet_parser`, `call_parser`), and
`runner` goes through its events on a clock of its own (`world`): inbound packets are built octet by
octet (`build`), what the stack sends is decoded (`seen`) and compared (`compare`) in the script's
numbers (`flow`), system calls run on a BSD façade over handlers (`sockets`, `calls`), commands are
mapped to settings and questions about state (`command`), code reads what `info()` says (`code`).

Rules. Nothing a script says reaches a shell. What is compared less strictly than octet for octet is
one of the switches of `leniency`, and the result names it.
"""
