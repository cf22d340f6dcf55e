"""Runs a command where there is no network but 127.0.0.1: Ray listens on every interface."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # of <sched.h>
_SET_FLAGS, _UP = 0x8914, 0x1  # SIOCSIFFLAGS and IFF_UP of <linux/if.h>
UNSUPPORTED = 77
"""Exit code where the system lets nobody have a network of his own."""


def main() -> None:
    """Become the command in the arguments."""
    try:
        _leave_network()
    except (OSError, AttributeError):
        sys.exit(UNSUPPORTED)
    os.execvp(sys.argv[1], sys.argv[1:])


def _leave_network() -> None:
    alone = _NEW_NETWORK if os.geteuid() == 0 else _NEW_NETWORK | _NEW_USER
    if ctypes.CDLL(None, use_errno=True).unshare(alone) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


if __name__ == "__main__":
    main()
