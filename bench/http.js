// The inside of bench/http. CPU is user and system time of one process, by /proc.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { serve, sql: ask } = require('../test/gateway/serve.js');

const EVENTS = Number(process.env.EVENTS ?? 1000000);
const TIME = Number(process.env.SECONDS_EACH ?? 5) * 1000;
const DATABASE = 'benchhttp';
const sql = (text) => ask(DATABASE, text);
const cpu = (pid) => { // microseconds
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10000;
};

// A statement by pgbench, on one connection: CPU of its backend for each.
async function alone(statement) {
  const file = path.join(os.tmpdir(), `bench.${process.pid}.sql`);
  fs.writeFileSync(file, statement);
  const child = spawn('pgbench', ['-n', '-T', String(TIME / 1000), '-c', '1', '-f', file, DATABASE], { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, PGAPPNAME: 'alone' } });
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  const ended = new Promise((resolve) => { child.on('exit', resolve); });
  let pid = '';
  while (pid === '') pid = sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'alone'");
  let spent = 0;
  const timer = setInterval(() => { try { spent = cpu(pid); } catch { /* it has ended */ } }, 10);
  await ended;
  clearInterval(timer);
  return Math.round(spent / Number(/actually processed: (\d+)/.exec(said)[1]));
}

// As fast as four connections can.
async function through(gateway, backends, method, target, headers, body) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const once = () => new Promise((resolve, reject) => {
    const request = http.request({ agent, host: '127.0.0.1', port: gateway.port, method, path: target, headers: { ...headers, ...(body && { 'content-type': 'application/json', 'content-length': body.length }) } }, (response) => {
      response.resume().on('end', () => (response.statusCode < 300 ? resolve() : reject(new Error(`${response.statusCode}`))));
    });
    request.on('error', reject).end(body);
  });
  for (let i = 0; i < 200; i += 1) await once();
  const before = [cpu(gateway.pid), backends.reduce((sum, pid) => sum + cpu(pid), 0), Date.now()];
  let done = 0;
  await Promise.all([1, 2, 3, 4].map(async () => { while (Date.now() - before[2] < TIME) { await once(); done += 1; } }));
  const spent = [cpu(gateway.pid) - before[0], backends.reduce((sum, pid) => sum + cpu(pid), 0) - before[1], Date.now() - before[2]];
  agent.destroy();
  return { gateway: spent[0] / done, backend: spent[1] / done, rate: done * 1000 / spent[2] };
}

async function main() {
  const gateway = await serve(DATABASE, ['--max-requests-per-token', '0', '--max-requests-per-address', '0']);
  sql(`SELECT count(activity.record('acme', (ARRAY['credit.charge', 'auth.signin', 'order.created', 'auth.signup'])[1 + n % 4]::activity.event_type,
      jsonb_build_object('kind', 'job', 'id', 'j' || n % 1000, 'amount', n), '{"note": "some words that are here"}', occurred_at => now() - n * interval '10 s')) FROM generate_series(1, ${EVENTS}) n`);
  // As the worker does it: everything published, and the rollups put together.
  while (sql('SELECT activity.publish(); SELECT backlog FROM activity.health').split('\n').pop() !== '0');
  while (sql('SELECT _activity.maintain_rollups(1000000, 1)') !== '0');
  sql('VACUUM ANALYZE');
  const token = sql(`SELECT token FROM activity.create_token('acme', 'ann', '{read,record}')`);
  const id = sql(`SELECT id FROM activity.feed('acme') LIMIT 1`);
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
  const backends = sql(`SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE usename = 'gateway'`).split(' ');
  const target = '/api/v1/organizations/acme/activity';
  sql(`CREATE TABLE headers AS SELECT '${JSON.stringify(headers)}'::jsonb AS headers`);
  const page = await alone("SELECT activity.feed_page('acme')");
  const bare = await alone(`SELECT * FROM headers h, activity.http('GET', '${target}', 'count=false', h.headers, '')`);
  console.log(`Microseconds of CPU for each call, ${EVENTS} events.\n\n| | backend | gateway | requests/s, 4 connections |\n|---|---|---|---|`);
  console.log(`| \`SELECT activity.feed_page()\` | ${page} | | |`);
  console.log(`| \`activity.http()\`, the same page | ${bare} | | |`);
  const rows = [['page of 50, by cursor', 'GET', `${target}?count=false`], ['page of 50, with its total', 'GET', target], [`page ${EVENTS / 50}, with its total`, 'GET', `${target}?page=${EVENTS / 50}`], ['one event', 'GET', `${target}/${id}`], ['POST of an event', 'POST', target, '{"eventType": "auth.signin"}']];
  for (const [name, method, where, body] of rows) {
    const cost = await through(gateway, backends, method, where, headers, body);
    console.log(`| ${name} | ${Math.round(cost.backend)} | ${Math.round(cost.gateway)} | ${Math.round(cost.rate)} |`);
    if (where.endsWith('count=false')) rows.ratio = (cost.backend + cost.gateway) / page;
  }
  console.log(`\nA page through the gateway is ${rows.ratio.toFixed(2)} times the CPU of feed_page() alone, http() by itself ${(bare / page).toFixed(2)} times.`);
  gateway.stop();
}
main().catch((error) => { console.error(error); process.exit(1); });
