"""The same endpoints over the kernel's sockets: the honest baseline, and development without privileges."""
