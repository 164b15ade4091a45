"""Gives an order to a running `rt-pose run` and prints the answer. The run prints where its key file is.

python examples/order.py KEYFILE arm
"""

import json
import sys
from pathlib import Path

import zmq
from msgspec import msgpack  # any msgpack library will do

keys = json.loads(Path(sys.argv[1]).read_bytes())
socket = zmq.Context().socket(zmq.REQ)
socket.curve_serverkey = keys["server_public"].encode()  # who is not this run learns nothing
socket.curve_publickey = keys["client_public"].encode()
socket.curve_secretkey = keys["client_secret"].encode()
socket.connect(keys["control"])
socket.send(msgpack.encode({"v": 1, "id": 1, "do": sys.argv[2]}))
print(msgpack.decode(socket.recv()))
