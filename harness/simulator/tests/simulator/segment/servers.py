"""What stands in the namespace: on TCP 7000 an echo; on 7001 a megabyte, then the end; on 7002 whoever sends
until he ends hears how much and what it was; on 7003 nothing is ever taken in. On UDP 123 an echo, reversed."""

import asyncio
import hashlib

MEGABYTE = bytes(i * 7 % 251 for i in range(1 << 20))


async def echo(reader, writer):
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


async def megabyte(_, writer):
    writer.write(MEGABYTE)
    await writer.drain()
    writer.close()


async def measure(reader, writer):
    everything = await reader.read(-1)
    digest = hashlib.md5(everything).hexdigest()
    writer.write(f"{len(everything)} {digest}".encode())
    writer.close()


async def ignore(reader, writer):
    await asyncio.sleep(3600)


class Reverse(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data[::-1], address)


async def main():
    for port, serve in ((7000, echo), (7001, megabyte), (7002, measure), (7003, ignore)):
        await asyncio.start_server(serve, "10.77.0.1", port, limit=1 << 21)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Reverse, local_addr=("10.77.0.1", 123))
    print("ready", flush=True)
    await asyncio.sleep(3600)


asyncio.run(main())
