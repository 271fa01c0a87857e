// The inside of bench/http. CPU is user and system time of one process, by /proc.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const { serve, sql: ask } = require('../test/gateway/serve.js');

const EVENTS = Number(process.env.EVENTS ?? 1000000);
const TIME = Number(process.env.SECONDS_EACH ?? 5) * 1000;
const DATABASE = 'benchhttp';
const sql = (text) => ask(DATABASE, text);
const cpu = (pid) => { // microseconds
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10000;
};

// Calls in one session, and its CPU for each; parsed and planned each time, as by pgbench's simple protocol.
function alone(call, calls) {
  return Number(sql(`SET client_min_messages = error;
    CREATE FUNCTION cpu() RETURNS numeric LANGUAGE sql AS $$
      SELECT (f[12]::numeric + f[13]::numeric) * 10000 FROM string_to_array(regexp_replace(pg_read_file('/proc/self/stat', 0, 10000), '^.*\\) ', 'x '), ' ') f $$;
    DO $$ BEGIN FOR i IN 1 .. 200 LOOP EXECUTE ${call}; END LOOP; END $$;
    CREATE TABLE cpu_before AS SELECT cpu();
    DO $$ BEGIN FOR i IN 1 .. ${calls} LOOP EXECUTE ${call}; END LOOP; END $$;
    SELECT round((cpu() - (SELECT b.cpu FROM cpu_before b)) / ${calls});
    DROP TABLE cpu_before; DROP FUNCTION cpu();`));
}

// As fast as four connections can.
async function through(gateway, backends, method, path, headers, body) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const once = () => new Promise((resolve, reject) => {
    const request = http.request({ agent, host: '127.0.0.1', port: gateway.port, method, path, headers: { ...headers, ...(body && { 'content-type': 'application/json', 'content-length': body.length }) } }, (response) => {
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
  sql('VACUUM ANALYZE');
  const token = sql(`SELECT token FROM activity.create_token('acme', 'ann', '{read,record}')`);
  const id = sql(`SELECT id FROM activity.feed('acme') LIMIT 1`);
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
  const backends = sql(`SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE usename = 'gateway'`).split(' ');
  const path = '/api/v1/organizations/acme/activity';
  const page = alone("'SELECT activity.feed_page(''acme'')'", 2000);
  const call = (query) => alone(`'SELECT * FROM activity.http(''GET'', ''${path}'', ''${query}'', ''${JSON.stringify(headers)}'', '''')'`, 2000);
  const bare = call('count=false');
  console.log(`Microseconds of CPU for each call, ${EVENTS} events.\n\n| | backend | gateway | requests/s, 4 connections |\n|---|---|---|---|`);
  console.log(`| \`SELECT activity.feed_page()\` | ${page} | | |`);
  console.log(`| \`activity.http()\`, the same page | ${bare} | | |`);
  const rows = [['page of 50, by cursor', 'GET', `${path}?count=false`], ['page of 50, with its total', 'GET', path], ['one event', 'GET', `${path}/${id}`], ['POST of an event', 'POST', path, '{"eventType": "auth.signin"}']];
  for (const [name, method, target, body] of rows) {
    const cost = await through(gateway, backends, method, target, headers, body);
    console.log(`| ${name} | ${Math.round(cost.backend)} | ${Math.round(cost.gateway)} | ${Math.round(cost.rate)} |`);
    if (target.endsWith('count=false')) rows.ratio = (cost.backend + cost.gateway) / page;
  }
  console.log(`\nA page through the gateway is ${rows.ratio.toFixed(2)} times the CPU of feed_page() alone, http() by itself ${(bare / page).toFixed(2)} times.`);
  gateway.stop();
}
main().catch((error) => { console.error(error); process.exit(1); });
