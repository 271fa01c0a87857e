"""The measurements of bench/gateway, on the server of the environment."""
import atexit
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

CLIENTS = int(os.environ.get('CLIENTS', 10000))
parts = sys.argv[1:] or ['idle', 'tls', 'broadcast', 'lag', 'webhooks']
bindir = subprocess.check_output([os.environ['PG_CONFIG'], '--bindir'], text=True).strip()


def sql(text):
    return subprocess.check_output([f'{bindir}/psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', text], text=True).strip()


def cpu(pid):
    fields = open(f'/proc/{pid}/stat').read().rsplit(') ', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def rss(pid):
    with open(f'/proc/{pid}/smaps_rollup') as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(('Private_Dirty', 'Private_Clean'))) * 1024


def certificate():
    folder = os.environ['PGDATA'] + '.tls'
    os.mkdir(folder)
    subprocess.check_call('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost'
                          f' -addext subjectAltName=IP:127.0.0.1 -keyout {folder}/key -out {folder}/cert 2>/dev/null', shell=True)
    return folder


ANYBODY = ssl.create_default_context()
ANYBODY.check_hostname = False
ANYBODY.verify_mode = ssl.CERT_NONE


class Gateway:
    name = 'gateway'

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [f'{bindir}/activity-gateway', '--database', f'host={os.environ["PGHOST"]} port={os.environ["PGPORT"]} dbname=postgres user=gateway',
             '--listen', '127.0.0.1:0', '--max-connections-per-address', '100000', '--max-connections-per-member', '100000',
             '--log-level', 'error', '--drain-time', '0', *options], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(':', 1)[1])
        self.pid = self.process.pid
        self.scheme = 'https' if '--tls-key' in options else 'http'
        atexit.register(self.process.kill)
        while self.get('/healthz') is None:
            time.sleep(0.05)

    def get(self, path):
        try:
            return urllib.request.urlopen(f'{self.scheme}://127.0.0.1:{self.port}{path}', context=ANYBODY).read().decode()
        except OSError:
            return None

    def broadcast(self, rate, count):
        for _ in range(count):
            started = time.time()
            sql("SELECT activity.record('org', 'credit.charge', '{\"amount\": 1}')")
            time.sleep(max(0, 1 / rate - (time.time() - started)))

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Other:
    """A server that is told on its input to send so many frames at such a rate."""

    def __init__(self):
        event = sql("SELECT activity.event_object(ROW(e.*)::activity.entry) FROM (SELECT id, occurred_at, event_type, actor_kind, actor_id, actor_name,"
                    " subject_kind, subject_id, subject, metadata, description, context, on_behalf_of, recorded_at FROM activity.events LIMIT 1) e")
        self.process = subprocess.Popen([*self.command, event], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.pid = self.process.pid
        atexit.register(self.process.kill)

    def broadcast(self, rate, count):
        self.process.stdin.write(f'{rate} {count}\n')
        self.process.stdin.flush()
        time.sleep(count / rate)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Ws(Other):
    name = 'ws'
    command = ['node', 'bench/gateway_ws.js']


class Floor(Other):
    name = 'bare epoll'
    command = ['bench/gateway_floor']


HANDSHAKE = ('GET /api/v1/organizations/org/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
             'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n')
SUBSCRIBE = b'{"op":"subscribe","cursor":"now"}'
FRAME = bytes([0x81, 0x80 | len(SUBSCRIBE), 0, 0, 0, 0]) + SUBSCRIBE


def connect_all(port, secret, number):
    """So many clients, all at once; returns when each has caught up."""
    poll, clients, waiting = select.epoll(), {}, {}
    request = (HANDSHAKE % secret).encode() + FRAME
    for _ in range(number):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(('127.0.0.1', port))
        clients[client.fileno()] = client
        waiting[client.fileno()] = None
        poll.register(client.fileno(), select.EPOLLOUT)
    while waiting:
        for fd, event in poll.poll(30) or sys.exit(f'{len(waiting)} clients wait in vain'):
            if waiting.get(fd) is None:
                clients[fd].send(request)
                waiting[fd] = b''
                poll.modify(fd, select.EPOLLIN)
                continue
            data = clients[fd].recv(4096)
            if not data or data.startswith(b'HTTP/1.1 ') and not data.startswith(b'HTTP/1.1 101'):
                sys.exit(f'refused: {data[:200]}')
            waiting[fd] += data
            if b'"op":"live"' in waiting[fd]:
                del waiting[fd]
    return poll, clients


def read_all(poll, clients, number, result):
    """Reads until so many event frames have come to each of them."""
    left, seconds = number * len(clients), time.time() + 120
    while left > 0 and time.time() < seconds:
        for fd, _ in poll.poll(0.2):
            left -= clients[fd].recv(262144).count(b'"op":"event"')
    result.append(left)


def close_all(poll, clients):
    for client in clients.values():
        client.close()
    poll.close()


def servers(*options):
    return (lambda: Gateway(*options)), Ws, Floor


def idle(secret):
    print(f'\n| {CLIENTS} clients that come at the same moment, then idle | private memory each, in use by malloc | until all have caught up | CPU for that | idle CPU |\n|---|---|---|---|---|')
    for make in servers():
        server = make()
        memory, spent, started = rss(server.pid), cpu(server.pid), time.time()
        poll, clients = connect_all(server.port, secret, CLIENTS)
        took, spent = time.time() - started, cpu(server.pid) - spent
        time.sleep(2)
        each = (rss(server.pid) - memory) / CLIENTS
        before = cpu(server.pid)
        time.sleep(10)
        heap = server.get('/metrics') if server.name == 'gateway' else ''
        heap = [float(line.split()[1]) for line in heap.splitlines() if line.startswith('activity_gateway_heap_bytes ')]
        used = f', {heap[0] / CLIENTS / 1024:.2f} kB' if heap else ''
        print(f'| {server.name} | {each / 1024:.2f} kB{used} | {took:.1f} s | {spent:.2f} s | {(cpu(server.pid) - before) * 10:.1f} % |', flush=True)
        close_all(poll, clients)
        server.stop()


def tls(secret):
    number = CLIENTS // 10
    folder = certificate()
    server = Gateway('--tls-certificate', f'{folder}/cert', '--tls-key', f'{folder}/key')
    memory, spent, clients = rss(server.pid), cpu(server.pid), []
    context = ssl.create_default_context(cafile=f'{folder}/cert')
    for _ in range(number):
        client = context.wrap_socket(socket.create_connection(('127.0.0.1', server.port)), server_hostname='127.0.0.1')
        client.sendall((HANDSHAKE % secret).encode() + FRAME)
        clients.append(client)
        data = b''
        while b'"op":"live"' not in data:
            more = client.recv(4096)
            if not more:
                sys.exit(f'refused: {data[:200]}')
            data += more
    print('\n| clients over TLS, one after the other, then idle | private memory each | CPU each |\n|---|---|---|')
    time.sleep(2)
    print(f'| {number} | {(rss(server.pid) - memory) / number / 1024:.1f} kB | {(cpu(server.pid) - spent) / number * 1e3:.2f} ms |', flush=True)
    for client in clients:
        client.close()
    server.stop()
    subprocess.check_call(['rm', '-rf', folder])


def broadcast(secret):
    print('\n| broadcast of 400-byte frames | clients | frames | CPU a frame |\n|---|---|---|---|')
    for number, rate, count in ((1000, 10, 100), (CLIENTS, 1, 20)):
        for make in servers():
            server = make()
            poll, clients = connect_all(server.port, secret, number)
            left = []
            reader = threading.Thread(target=read_all, args=(poll, clients, count, left))
            before = cpu(server.pid)
            reader.start()
            server.broadcast(rate, count)
            reader.join()
            spent = cpu(server.pid) - before
            lost = f', {left[0]} missing' if left[0] else ''
            print(f'| {server.name} | {number} | {number * count}{lost} | {spent / number / count * 1e6:.2f} µs |', flush=True)
            close_all(poll, clients)
            server.stop()


def lag(secret):
    print('\n| lag from recording to the client | events/s | p50 | p99 | most |\n|---|---|---|---|---|')
    server = Gateway()
    for rate in (100, 1000):
        client = socket.create_connection(('127.0.0.1', server.port))
        client.sendall((HANDSHAKE % secret).encode() + FRAME)
        with open('/tmp/bench_gateway.sql', 'w') as script:
            script.write("SELECT activity.record('org', 'credit.charge', jsonb_build_object('amount', 1, 'at', extract(epoch FROM clock_timestamp())));\n")
        writer = subprocess.Popen([f'{bindir}/pgbench', '-n', '-c', '8', '-R', str(rate), '-T', '10', '-f', script.name],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lags, data = [], b''
        client.settimeout(2)
        while True:
            try:
                data += client.recv(262144)
            except TimeoutError:
                break
            now = time.time()
            pieces = data.split(b'"at":')
            for piece in pieces[1:-1] if not pieces[-1].count(b'}') else pieces[1:]:
                lags.append(now - float(piece.split(b'}')[0].split(b',')[0]))
            data = b'' if pieces[-1].count(b'}') else b'"at":' + pieces[-1]
        writer.wait()
        lags.sort()
        print(f'| {len(lags)} events | {rate} | {lags[len(lags) // 2] * 1e3:.1f} ms | {lags[len(lags) * 99 // 100] * 1e3:.1f} ms | {lags[-1] * 1e3:.1f} ms |', flush=True)
        client.close()
    server.stop()
    os.unlink(script.name)


RECEIVER = """
daemon off; pid {folder}/pid; error_log stderr crit; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
	access_log off; keepalive_timeout {keep}; keepalive_requests 1000000;
	client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
	server {{
		listen 127.0.0.1:{port} ssl backlog=4096;
		ssl_certificate {folder}/cert; ssl_certificate_key {folder}/key;
		location / {{ return 200 "ok"; }}
	}}
}}
"""


def receive(folder, keep):
    """nginx, which takes less of the cores than any receiver that we would write."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with open(f'{folder}/conf', 'w') as conf:
        conf.write(RECEIVER.format(folder=folder, keep=keep, port=port))
    process = subprocess.Popen(['/usr/sbin/nginx', '-p', folder, '-e', 'stderr', '-c', f'{folder}/conf'])
    atexit.register(process.terminate)
    while True:
        try:
            socket.create_connection(('127.0.0.1', port)).close()
            return process, port
        except ConnectionRefusedError:
            if process.poll() is not None:
                sys.exit('nginx ended')


def webhooks(secret):
    folder = certificate()
    print('\n| webhooks over https, 20 endpoints, receiver is nginx on the same cores | POSTs/s | CPU a POST, gateway | CPU a POST, nginx |\n|---|---|---|---|')
    for name, keep, count in (('kept alive', 600, 40000), ('a TLS connection each', 0, 6000)):
        receiver, port = receive(folder, keep)
        worker = int(subprocess.check_output(['pgrep', '-P', str(receiver.pid)], text=True).split()[0])
        sql('SELECT activity.delete_webhook(endpoint_id) FROM activity.webhook_endpoints')
        sql(f"SELECT count(*) FROM generate_series(1, 20) n, LATERAL activity.create_webhook('org', 'https://127.0.0.1:{port}/' || n, '{{credit.*}}')")
        sql(f"SELECT count(activity.record('org', 'credit.charge', '{{\"amount\": 1}}')) FROM generate_series(1, {count // 20})")
        while sql('SELECT backlog FROM activity.health') != '0':
            pass
        server = Gateway('--webhook-allow', '127.0.0.0/8', '--webhook-ca', f'{folder}/cert', '--no-stream')
        started, spent, taken = time.time(), cpu(server.pid), cpu(worker)
        while True:
            done = int(next(line for line in server.get('/metrics').splitlines() if line.startswith('activity_gateway_deliveries_reported_total ')).split()[1])
            if done >= count:
                break
            time.sleep(0.05)
        took = time.time() - started
        print(f'| {name} | {count / took:.0f} | {(cpu(server.pid) - spent) / count * 1e6:.0f} µs | {(cpu(worker) - taken) / count * 1e6:.0f} µs |', flush=True)
        server.stop()
        receiver.terminate()
        receiver.wait()
    subprocess.check_call(['rm', '-rf', folder])


sql("SET client_min_messages = warning; CREATE EXTENSION activity CASCADE;"
    " CREATE TABLE memberships (organization_id text, user_id text PRIMARY KEY, role text, status text)")
sql("SELECT activity.track('memberships', 'membership')")
sql("INSERT INTO memberships VALUES ('org', 'ann', 'admin', 'active')")
sql("SELECT activity.set_tier('org', 'enterprise')")
sql("CREATE ROLE gateway LOGIN")
sql("SELECT activity.allow('gateway', 'serve')")
shown = sql("SELECT secret FROM activity.create_connection('org', 'ann')")
for part in parts:
    {'idle': idle, 'tls': tls, 'broadcast': broadcast, 'lag': lag, 'webhooks': webhooks}[part](shown)
