#!/usr/bin/python3
"""receiver.py FOLDER - receivers of webhooks that behave and misbehave.

Listens on free ports and writes FOLDER/ports, `http https tls` (the last one speaks
no TLS though asked to). What a path does is its first segment; each request that is
whole is a line of FOLDER/log: path, the number of its connection, webhook-id, body.
"""
import asyncio
import json
import os
import ssl
import struct
import socket
import sys

folder = sys.argv[1]
log = open(f'{folder}/log', 'a', buffering=1)
connections = 0


async def read_request(reader):
    head = await reader.readuntil(b'\r\n\r\n')
    lines = head.decode('latin-1').split('\r\n')
    fields = dict(line.lower().split(': ', 1) for line in lines[1:] if ': ' in line)
    body = await reader.readexactly(int(fields.get('content-length', 0)))
    return lines[0].split()[1], fields, body


def answer(status, fields='', body=b'{"ok":true}'):
    return f'HTTP/1.1 {status} X\r\n{fields}Content-Length: {len(body)}\r\n\r\n'.encode() + body


async def forever(writer, piece, pause):
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


async def serve(reader, writer):
    global connections
    connections += 1
    number = connections
    try:
        while True:
            path, fields, body = await read_request(reader)
            log.write(json.dumps([path, number, fields.get('webhook-id'), body.decode()]) + '\n')
            kind = path.split('/')[1]
            if kind.isdigit():
                writer.write(answer(int(kind), 'Retry-After: 77\r\n'))
            elif kind == 'redirect':
                writer.write(answer(302, f'Location: /200/redirected\r\n'))
            elif kind == 'large':
                writer.write(answer(200, body=b'x' * 60000))
            elif kind == 'dirty':
                writer.write(answer(200, body=b'a\0b\xff\xe2\x82c'))
            elif kind == 'silent':
                await asyncio.sleep(3600)
            elif kind == 'endless':
                writer.write(b'HTTP/1.1 200 X\r\n\r\n')
                await forever(writer, b'x' * 65536, 0)
            elif kind == 'headers':
                writer.write(b'HTTP/1.1 200 X\r\n')
                await forever(writer, b'A: ' + b'x' * 1000 + b'\r\n', 0)
            elif kind == 'drip':
                writer.write(b'HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n')
                await forever(writer, b'x', 0.2)
            elif kind == 'reset':
                writer.get_extra_info('socket').setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                writer.transport.abort()
                return
            elif kind == 'hangup':
                return
            elif kind == 'cut':
                writer.write(b'HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\nabc')
                await writer.drain()
                return
            elif kind == 'garbage':
                writer.write(b'\x00\x01\x02 what is this\r\n\r\n')
                await writer.drain()
                return
            else:
                writer.write(answer(200))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def garbage(reader, writer):
    writer.write(b'220 mail.example ESMTP\r\n')
    await writer.drain()
    writer.close()


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f'{folder}/cert', f'{folder}/key')
    servers = [await asyncio.start_server(serve, '127.0.0.1', 0, backlog=1000),
               await asyncio.start_server(serve, '127.0.0.1', 0, ssl=context, backlog=1000),
               await asyncio.start_server(garbage, '127.0.0.1', 0)]
    with open(f'{folder}/ports.new', 'w') as out:
        out.write(' '.join(str(s.sockets[0].getsockname()[1]) for s in servers))
    os.rename(f'{folder}/ports.new', f'{folder}/ports')
    await asyncio.sleep(3600)


asyncio.run(main())
