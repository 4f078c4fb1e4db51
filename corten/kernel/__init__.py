"""The same endpoints over the kernel's sockets: baseline, and no privileges needed."""
