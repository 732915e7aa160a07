"""Makes a TAP in the network namespace that it runs in, and hands it over the Unix socket that is named.

Usage: tap.py NAME SOCKET. The TAP ends with its last descriptor.
"""

import fcntl
import os
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000

name, path = sys.argv[1:]
device = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bench:
    bench.connect(path)
    socket.send_fds(bench, [b"t"], [device])
    # Its own handle is kept until the bench has the other.
    bench.recv(1)
