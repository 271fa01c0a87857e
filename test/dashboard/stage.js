// What the walks stand on: a database with the demo's week and a hostile tenant, a
// gateway in front of it, Chromium.
'use strict';
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const library = (name) => require(path.join(__dirname, 'node_modules', name));
const root = path.join(__dirname, '../..');
const database = 'dashboard';
const patience = Number(process.env.PATIENCE ?? 60_000);

function sql(text, options = []) {
  return execFileSync('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', database, ...options],
    { input: text, encoding: 'utf8', env: { ...process.env, PGOPTIONS: '-c client_min_messages=warning' } }).trim();
}

const quote = (text) => `'${text.replaceAll('\'', '\'\'')}'`;
const link = (organization, member, validFor = '5 minutes') =>
  sql(`SELECT activity.dashboard_link(${quote(organization)}, ${quote(member)}, ${quote(validFor)})`);

// What a tenant could plant into its own events, so that others look at it.
const hostile = {
  script: '<script>window.planted = 1</script><img src=x onerror="window.planted = 1">',
  link: 'javascript:window.planted = 1',
  bidi: '\u202Egnp.exe\u202C \u2066isolate\u2069',
  long: 'x'.repeat(100_000),
  hebrew: 'מאיה כהן',
};

function makeData() {
  execFileSync('createdb', ['--encoding=UTF8', database]);
  sql(`ALTER DATABASE ${database} SET activity.allow_insecure_webhooks = on; ALTER DATABASE ${database} SET activity.webhook_ports = '443, 1024-65535'`);
  for (const name of ['schema', 'track']) sql(fs.readFileSync(`${root}/demo/${name}.sql`, 'utf8'));
  sql(fs.readFileSync(`${root}/demo/week.sql`, 'utf8'), ['-U', 'backend']);
  sql(fs.readFileSync(`${root}/demo/live.sql`, 'utf8'), ['-U', 'backend']);
  sql(`INSERT INTO organizations VALUES ('evil', 'Evil'), ('quiet', 'Quiet');
    INSERT INTO users VALUES ('mallory', 'Mallory', 'mallory@evil.example'), ('quentin', 'Quentin', 'q@quiet.example'), ('bob', 'Bob', 'bob@acme.example');
    INSERT INTO memberships VALUES ('evil', 'mallory', 'Mallory', 'owner'), ('quiet', 'quentin', 'Quentin', 'owner'), ('acme', 'bob', 'Bob', 'member');
    SELECT activity.set_tier(organization, 'enterprise') FROM (VALUES ('acme'), ('evil'), ('quiet')) o (organization);
    CREATE ROLE gateway LOGIN; SELECT activity.allow('gateway', 'serve');`);
  for (const words of Object.values(hostile))
    sql(`BEGIN; SELECT activity.set_actor(${quote(words.slice(0, 200))}, name => ${quote(words.slice(0, 5000))}, context => jsonb_build_object('agent', ${quote(words)}));
      SELECT activity.record('evil', 'credit.charge', jsonb_build_object('kind', 'job', 'id', ${quote(words.slice(0, 200))}, 'name', ${quote(words)}),
        jsonb_build_object('amount', 1, ${quote(words.slice(0, 100))}, ${quote(words)}, 'previous_name', ${quote(words)}, 'name', ${quote(words)}), description => ${quote(words)}); COMMIT`);
  sql(`SELECT activity.record('evil', 'credit.charge', '{"id": "exact"}', '{"amount": 123456789012345678901234567890.123456789, "small": 1.50}'),
    activity.record('evil', 'auth.signin', occurred_at => '10001-02-03 04:05Z')`);
  sql('SELECT activity.publish()');
}

// The last line that a child prints to match.
function line(child, stream, pattern) {
  return new Promise((resolve, reject) => {
    let text = '';
    child[stream].on('data', (data) => {
      text += data;
      const found = pattern.exec(text);
      if (found) resolve(found);
    });
    child.on('exit', (code) => reject(new Error(`${child.spawnfile} ended with ${code}: ${text}`)));
  });
}

class Gateway {
  log = '';

  async start(port = 0) {
    const sanitized = `${root}/gateway/sanitized/activity-gateway`;
    const program = fs.existsSync(sanitized) ? sanitized
      : path.join(execFileSync(process.env.PG_CONFIG ?? 'pg_config', ['--bindir'], { encoding: 'utf8' }).trim(), 'activity-gateway');
    this.child = spawn(program, ['--database', `host=${process.env.PGHOST} port=${process.env.PGPORT} dbname=${database} user=gateway`,
      '--listen', `127.0.0.1:${port}`, '--webhook-allow', '127.0.0.0/8', '--files', `${__dirname}/built`], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stderr.on('data', (data) => { this.log += data; });
    this.ended = new Promise((resolve) => { this.child.on('exit', (code, signal) => resolve(code ?? signal)); });
    const [, found] = await line(this.child, 'stdout', /listening on http:\/\/127\.0\.0\.1:(\d+)/);
    this.port = Number(found);
    this.url = `http://127.0.0.1:${this.port}`;
    sql(`ALTER DATABASE ${database} SET activity.gateway_url = '${this.url}'`);
    await until('the gateway is healthy', async () => (await fetch(`${this.url}/healthz`).catch(() => null))?.status === 200);
  }

  async stop(signal = 'SIGTERM') {
    this.child.kill(signal);
    return this.ended;
  }
}

async function until(what, test) {
  const late = Date.now() + patience;
  for (;;) {
    const result = await test();
    if (result) return result;
    if (Date.now() > late) throw new Error(`gave up waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

// A receiver of webhooks that answers with what it is told to.
async function receiver() {
  const state = { status: 200, body: 'thanks', requests: [] };
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (data) => { body += data; });
    request.on('end', () => {
      state.requests.push({ headers: request.headers, body });
      response.writeHead(state.status).end(state.body);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(state, { url: `http://localhost:${server.address().port}/hook`, close: () => { server.closeAllConnections(); server.close(); } });
}

async function browser() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'chromium.'));
  const { chromium } = library('playwright-core');
  const context = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', env: { ...process.env, HOME: profile },
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update'],
  });
  context.on('disconnected', () => fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10 }));
  return context;
}

// Pages of one walk, and what they complained of.
class Visits {
  complaints = [];
  contexts = [];

  constructor(chromium, gateway) {
    this.chromium = chromium;
    this.gateway = gateway;
    this.hosts = [new URL(gateway.url).host]; // that a page may ask
  }

  // A browser of its own, signed in as this member.
  async as(organization, member, options = {}) {
    const context = await this.chromium.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: 'Europe/Berlin', locale: 'en-GB', ...options });
    this.contexts.push(context);
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      // That an answer was not 200 is the page's to show.
      if (message.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(message.text())) this.complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!/^(blob|data):/.test(request.url()) && !this.hosts.includes(new URL(request.url()).host)) this.complaints.push(request.url());
    });
    if (organization) {
      await page.goto(link(organization, member));
      await page.getByRole('heading', { level: 1, name: 'Events' }).waitFor();
    }
    return page;
  }

  async picture(name, page = this.page) {
    const folder = process.env.SCREENSHOTS;
    if (!folder || !page) return;
    fs.mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
  }

  async close() {
    for (const context of this.contexts) await context.close();
  }
}

const view = (page, name) => page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name }).click()
  .then(() => page.getByRole('heading', { level: 1, name }).waitFor());
const rows = (page, name = 'Events') => page.getByRole('group', { name, exact: true }).locator('tbody tr:not(.detail)');
// Until nothing of the page is waited for.
const settle = (page) => page.waitForFunction(() => !document.querySelector('[aria-busy=true]') && !/^Loading/m.test(document.body.innerText));

module.exports = { Gateway, Visits, browser, hostile, library, link, makeData, patience, quote, receiver, rows, settle, sql, until, view };
