"""Drives a service with Wokwi's own client for Python: hello, upload, start, console, restart, write.

Arguments: a folder with diagram.json and the flash's files, and the files as OFFSET=NAME. Server and token stand in
the environment. Prints JSON.
"""

import asyncio
import json
import os
import pathlib
import sys

from wokwi_client import WokwiClient
from wokwi_client.exceptions import WokwiError
from wokwi_client.file_ops import FlashSection

folder, files = pathlib.Path(sys.argv[1]), sys.argv[2:]


class Console:
    def __init__(self):
        self.text, self.more = "", asyncio.Event()

    def hear(self, data):
        self.text += data.decode()
        self.more.set()

    async def until(self, text):
        while text not in self.text:
            self.more.clear()
            await self.more.wait()
        heard, self.text = self.text, ""
        return heard


async def main():
    client, console = WokwiClient(os.environ["WOKWI_CLI_TOKEN"]), Console()
    hello = await client.connect()
    await client.upload_file("diagram.json", folder / "diagram.json")
    firmware = []
    for file in files:
        offset, name = file.split("=")
        await client.upload_file(name, folder / name)
        firmware.append(FlashSection(int(offset, 0), name))
    client.serial_monitor(console.hear)
    # It stands still until the console is listened to.
    await client.start_simulation(firmware, flash_size=4, pause=True)
    await client.resume_simulation()
    first = await console.until("esp32> ")
    await client.pause_simulation()
    await client.resume_simulation()
    pin = await client.read_pin("esp", "4")
    await client.set_control("esp", "pressed", 1)
    await client.restart_simulation()
    second = await console.until("esp32> ")
    await client.serial_write("provision_status\n")
    answer = await console.until("Room:")
    # Last: a refusal ends this client's connection.
    try:
        part = await client.set_control("none", "pressed", 1)
    except WokwiError as error:
        part = str(error)
    seen = {"hello": hello, "pin": pin, "part": part}
    print(json.dumps({**seen, "first": first, "second": second, "answer": answer}))


asyncio.run(main())
