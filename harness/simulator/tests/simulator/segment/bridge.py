"""Carries Ethernet frames between a TAP device, which the kernel's own stack is behind, and a TCP port, each
frame after its length in four bytes.

It says its port. A line on standard input cuts the connection ("cut"), or lets the next one in ("restore").
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000

tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", sys.argv[1].encode(), IFF_TAP | IFF_NO_PI))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)

unit, is_cut, received, orders = None, False, b"", b""
while True:
    ready, _, _ = select.select([tap, listener, 0] + ([unit] if unit else []), [], [])
    if 0 in ready:
        piece = os.read(0, 100)
        if not piece:
            break
        # A line may come in pieces.
        orders += piece
        *lines, orders = orders.split(b"\n")
        for line in lines:
            is_cut = line == b"cut"
            if is_cut and unit:
                unit.close()
                unit = None
            print(line.decode(), flush=True)
        continue
    if listener in ready:
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if is_cut:
            accepted.close()
        else:
            unit, received = accepted, b""
        continue
    try:
        if unit in ready:
            piece = unit.recv(65536)
            if not piece:
                raise ConnectionError
            received += piece
            while len(received) >= 4:
                (length,) = struct.unpack_from(">I", received)
                if len(received) < 4 + length:
                    break
                os.write(tap, received[4 : 4 + length])
                received = received[4 + length :]
        if tap in ready:
            try:
                frame = os.read(tap, 2048)
            except OSError:
                continue
            if unit:
                unit.sendall(struct.pack(">I", len(frame)) + frame)
    except ConnectionError:
        unit = None
    except OSError as error:
        print("tap:", error, file=sys.stderr, flush=True)
