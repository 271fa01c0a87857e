// A database with an organization acme and a gateway before it, for suites in Node.js.
'use strict';
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

exports.sql = (database, text) => execFileSync('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', database], { input: text, encoding: 'utf8' }).trim();

// options are more flags of the gateway's.
exports.serve = async (database, options = []) => {
  execFileSync('createdb', ['--encoding=UTF8', database]);
  exports.sql(database, `SET client_min_messages = warning; CREATE EXTENSION activity CASCADE;
    CREATE TABLE memberships (organization_id text, user_id text, role text, PRIMARY KEY (organization_id, user_id));
    SELECT activity.track('memberships', 'membership');
    INSERT INTO memberships VALUES ('acme', 'ann', 'admin'), ('other', 'bob', 'member');
    SELECT activity.set_tier('acme', 'enterprise'), activity.set_tier('other', 'premium');
    CREATE ROLE gateway LOGIN; SELECT activity.allow('gateway', 'serve');`);
  const sanitized = path.join(__dirname, '../../gateway/sanitized/activity-gateway');
  const program = fs.existsSync(sanitized) ? sanitized
    : path.join(execFileSync(process.env.PG_CONFIG ?? 'pg_config', ['--bindir'], { encoding: 'utf8' }).trim(), 'activity-gateway');
  const child = spawn(program, ['--database', `host=${process.env.PGHOST} port=${process.env.PGPORT} dbname=${database} user=gateway`,
    '--listen', '127.0.0.1:0', '--no-webhooks', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  const gateway = { log: '', pid: child.pid, stop() { child.removeAllListeners('exit'); child.kill(); } };
  child.stderr.on('data', (data) => { gateway.log += data; });
  gateway.port = await new Promise((resolve, reject) => {
    child.stdout.on('data', (data) => resolve(/:(\d+)\n/.exec(data)[1]));
    child.on('exit', (code) => reject(new Error(`the gateway ended with ${code}: ${gateway.log}`)));
  });
  gateway.url = `http://127.0.0.1:${gateway.port}`;
  for (const until = Date.now() + 30000; (await fetch(`${gateway.url}/healthz`)).status !== 200 && Date.now() < until;)
    await new Promise((go) => { setTimeout(go, 50); });
  return gateway;
};
