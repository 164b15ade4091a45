"""Prints poses and events of a running `rt-pose run` as they come. Stop it with Ctrl-C.

python examples/subscriber.py [ADDRESS]
"""

import sys

import numpy as np
import zmq
from msgspec import msgpack  # any msgpack library will do

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5790"
socket = zmq.Context().socket(zmq.SUB)
socket.connect(address)
for topic in (b"pose/", b"event/"):  # a subscription is a prefix; topics end in "/"
    socket.subscribe(topic)
while True:  # without a run it waits
    topic, header, *buffers = socket.recv_multipart()
    header = msgpack.decode(header)
    if topic.startswith(b"pose/"):
        pose = np.frombuffer(buffers[0], "<f4").reshape(header["shape"])
        x, y, p = pose[0, 0, :3]  # the first individual's first keypoint; the topic "meta" has the names
        print(f"frame {header['frame']}: x {x:.1f} y {y:.1f} p {p:.2f}, {header['age_ns'] / 1e6:.1f} ms old")
    else:
        # For a rule that withholds, the outcome is "decided": whether it fired is in the session alone.
        print(header["event"]["rule"], header["event"]["outcome"], header["event"]["reason"])
