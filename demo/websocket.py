#!/usr/bin/env python3
"""websocket.py URL SECRET NUMBER - what a client of the stream sees.

Prints `ready` once it has caught up, then so many events, as they happen. Written with
nothing but the standard library, to show how little a client needs; use a
library of your own language instead.
"""
import base64
import json
import os
import socket
import sys
import urllib.parse

url, secret, number = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3])
connection = socket.create_connection((url.hostname, url.port), timeout=20)
stream = connection.makefile('rb')
connection.sendall((f'GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                    f'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n'
                    f'Authorization: Bearer {secret}\r\n\r\n').encode())
status = stream.readline().decode()
if ' 101 ' not in status:
    sys.exit(status + stream.read().decode())
while stream.readline() != b'\r\n':
    pass


def send(text):
    mask = os.urandom(4)
    connection.sendall(bytes([0x81, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text.encode())))


def receive():
    length = stream.read(2)[1]
    if length > 125:
        length = int.from_bytes(stream.read(2 if length == 126 else 8), 'big')
    return json.loads(stream.read(length))


send('{"op":"subscribe","cursor":"now"}')
while number > 0:
    frame = receive()
    if frame['op'] == 'live':
        print('ready', flush=True)
    elif frame['op'] == 'event':
        print(frame['position'], frame['event']['eventType'], '-', frame['event']['description'], flush=True)
        number -= 1
