# SPDX-License-Identifier: MIT
"""A plugin of the application as the stock ones are on the bus, run under their names: it asks for
its own power to be measured, is busy for a part of the time, and ends with the application. The
oracle ends the application when it is told to.

    python3 image_scoring_plugin.py ADDRESS DUTY
"""

import os
import pathlib
import select
import sys
import time

sys.path.insert(0, os.environ["PM_TESTS"])

import zmq  # noqa: E402

from conftest import PUBLISHED, start_event, terminate_event  # noqa: E402

ORACLE_UUID = "6e153711-9823-4ee6-b608-58e2e801db51"
PERIOD_S = 0.02


def exchange(socket, message):
    socket.send(message)
    assert socket.recv() == PUBLISHED


def main():
    address, duty = sys.argv[1], float(sys.argv[2])
    is_oracle = pathlib.Path(sys.argv[0]).name == "oracle_plugin.py"
    socket = zmq.Context().socket(zmq.REQ)
    socket.linger = 1000
    socket.connect(address)
    # All of it: types [1] is "all" in the schema's numbering, 0 seconds is "until stopped".
    for _ in range(int(os.environ.get("PM_STARTS", "1"))):
        exchange(socket, start_event([os.getpid()], [1], 0))
    print("ready", flush=True)
    if not is_oracle:
        socket.send(b"plugin_command: next_msg")
    while True:
        begun = time.perf_counter()
        while time.perf_counter() - begun < duty * PERIOD_S:
            pass
        if is_oracle and select.select([sys.stdin], [], [], 0)[0]:
            exchange(socket, terminate_event("*", ORACLE_UUID))
            break
        if not is_oracle and socket.poll(0):
            assert socket.recv()[:2] == b"\x12\x00"
            break
        time.sleep((1 - duty) * PERIOD_S)
    socket.send(b"plugin_command: quit")


main()
