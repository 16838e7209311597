# Drives a QMP server with the qemu.qmp package: argv[1] is the unix socket. Prints one JSON line.

import asyncio
import json
import sys

from qemu.qmp import EventListener, ExecuteError, QMPClient


async def main() -> None:
    client = QMPClient("test")
    seen = EventListener(("STOP", "RESUME"))
    client.register_listener(seen)
    await client.connect(sys.argv[1])
    before = await client.execute("query-status")
    await client.execute("stop")
    stopped = (await seen.get())["event"]
    paused = await client.execute("query-status")
    await client.execute("cont")
    resumed = (await seen.get())["event"]
    try:
        await client.execute("stopp")
        error = "none"
    except ExecuteError as failure:
        error = failure.error_class
    commands = await client.execute("query-commands")
    schema = await client.execute("query-qmp-schema")
    properties = await client.execute(
        "device-list-properties", {"typename": "virtio-blk-device"})
    with open("/dev/null", "rb") as file:
        client.send_fd_scm(file.fileno())
    await client.execute("getfd", {"fdname": "null"})
    closed = await client.execute("closefd", {"fdname": "null"})
    times = await client.execute("query-boot-times")
    await client.disconnect()
    print(json.dumps({
        "before": before["status"],
        "stopped": stopped,
        "paused": paused["status"],
        "resumed": resumed,
        "error": error,
        "describesQuit": [
            info["meta-type"] for info in schema if info["name"] == "quit"],
        "hasDrive": "drive" in [each["name"] for each in properties],
        "origin": times["origin"],
        "closed": closed,
        "hasQuit": {"name": "quit"} in commands,
    }))


asyncio.run(main())
