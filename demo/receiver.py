#!/usr/bin/env python3
"""receiver.py FOLDER - a receiver of webhooks that checks signatures.

The secret is in FOLDER/receiver.secret. Writes its port to FOLDER/receiver.port and a line for each webhook to FOLDER/receiver.log.
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import sys

folder = sys.argv[1]


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length']))
        with open(f'{folder}/receiver.secret') as file:
            key = base64.b64decode(file.read().strip().removeprefix('whsec_'))
        signed = f'{self.headers["webhook-id"]}.{self.headers["webhook-timestamp"]}.'.encode() + body
        due = 'v1,' + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        good = any(hmac.compare_digest(due, given) for given in self.headers['webhook-signature'].split())
        event = json.loads(body)
        with open(f'{folder}/receiver.log', 'a') as log:
            print('signed' if good else 'FORGED', event['type'], '-', event['data']['description'], file=log)
        self.send_response(200 if good else 400)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Receiver)
with open(f'{folder}/receiver.port.new', 'w') as out:
    out.write(str(server.server_port))
os.rename(f'{folder}/receiver.port.new', f'{folder}/receiver.port')
server.serve_forever()
