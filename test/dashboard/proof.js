// Verifying, from the page: a clean chain, a broken one, holds and redactions.
'use strict';

const net = require('node:net');

// What is between a page and the gateway: passes on so many bytes at a time.
async function slowLine(port) {
  const line = { bytes: Infinity };
  const server = net.createServer((client) => {
    const gateway = net.connect(port, '127.0.0.1');
    const end = () => { client.destroy(); gateway.destroy(); };
    client.on('error', end).on('close', end).pipe(gateway);
    gateway.on('error', end).on('close', end).on('data', async (data) => {
      gateway.pause();
      while (data.length > 0) {
        const piece = data.subarray(0, Math.min(line.bytes, data.length));
        data = data.subarray(piece.length);
        client.write(piece);
        if (data.length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
      }
      gateway.resume();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(line, { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() });
}

module.exports = async ({ ok, is, gateway, visit, sql, view, settle, until }) => {
  sql(`BEGIN; SELECT activity.set_actor('quentin', name => 'Quentin');
    SELECT count(activity.record('quiet', 'auth.signin')) FROM generate_series(1, 20); COMMIT; SELECT activity.publish()`);
  const page = await visit.as('quiet', 'quentin');
  await view(page, 'Proof');
  await page.getByRole('button', { name: 'Verify the chain' }).click();
  const head = Number(sql("SELECT position FROM activity.stream_head('quiet')"));
  await page.getByText(new RegExp(`up to position ${head} verified`)).waitFor();
  ok(true, 'a chain that nobody touched is verified');
  const kept = JSON.parse(await page.locator('pre[aria-label=Checkpoint]').innerText());
  is([kept.organization, kept.position, kept.hash], ['quiet', head, sql("SELECT encode(hash, 'hex') FROM activity.checkpoint('quiet')")], 'the checkpoint is the database\'s');
  await page.getByText('Nothing is held').waitFor();

  const hold = sql("SELECT activity.place_hold('quiet', 'case <b>17</b>', actor => 'quentin')");
  sql("SELECT activity.redact('quiet', (SELECT id FROM activity.feed('quiet', '{auth.signin}', page_size => 1)), 'asked for') WHERE activity.release_hold('" + hold + "', 'over') IS NOT NULL");
  await page.reload();
  await page.getByRole('region', { name: 'Holds' }).getByText('case <b>17</b>').waitFor();
  ok((await page.getByRole('region', { name: 'Holds' }).innerText()).includes('quentin'), 'holds are listed, as text');
  await page.getByRole('region', { name: 'Redactions' }).getByText('asked for').waitFor();
  ok(true, 'and so are redactions');
  await visit.picture('proof');

  // Somebody with all rights on the database changes what happened.
  const changed = Number(sql(`ALTER TABLE _activity.event DISABLE TRIGGER append_only;
    WITH changed AS (UPDATE _activity.event SET occurred_at = occurred_at + interval '1 hour' WHERE id = (SELECT id FROM activity.feed('quiet', '{auth.signin}') OFFSET 3 LIMIT 1) RETURNING 1) SELECT count(*) FROM changed;
    ALTER TABLE _activity.event ENABLE TRIGGER append_only`));
  is(changed, 1, 'an event is forged');
  await page.getByRole('button', { name: 'Verify the chain' }).click();
  await page.getByRole('alert').getByText(/problem/).first().waitFor();
  ok(await page.getByRole('group', { name: 'Problems' }).locator('tbody tr').count() >= 1, 'a change is found, and where');
  await visit.picture('broken');

  // A long one, on a slow line, shows how far it is, and can be cancelled.
  sql(`INSERT INTO organizations VALUES ('long', 'Long'); INSERT INTO memberships VALUES ('long', 'quentin', 'Quentin', 'owner');
    SELECT activity.set_tier('long', 'enterprise');
    SELECT count(activity.record('long', 'credit.charge', '{"kind": "credit", "amount": 1}')) FROM generate_series(1, 60000)`);
  await until('all is published', () => sql('SELECT activity.publish(); SELECT backlog FROM activity.health').endsWith('0'));
  const long = await visit.as('long', 'quentin');
  await view(long, 'Proof');
  const slow = await slowLine(new URL(gateway.url).port);
  visit.hosts.push(new URL(slow.url).host);
  await long.goto(`${slow.url}/#/proof`);
  await long.getByRole('button', { name: 'Verify the chain' }).waitFor();
  slow.bytes = 20;
  await long.getByRole('button', { name: 'Verify the chain' }).click();
  const bar = long.getByRole('progressbar', { name: 'Verification' });
  const values = new Set();
  let said = '';
  await until('the bar moves', async () => {
    said = await long.getByRole('region', { name: 'Verify' }).innerText();
    const value = await bar.getAttribute('value');
    if (Number(value) > 0 && Number(value) <= Number(await bar.getAttribute('max'))) values.add(value);
    return values.size >= 2;
  });
  ok(/of 60,00\d/.test(said), 'a long one says how far it is');
  await visit.picture('verifying');
  await long.getByRole('button', { name: 'Cancel' }).click();
  await long.getByText('Cancelled').waitFor();
  ok(true, 'and can be cancelled while it runs');
  await long.getByRole('button', { name: 'Verify the chain' }).click();
  await bar.waitFor();
  const given = long.waitForEvent('requestfailed', (request) => request.url().includes('/verify'));
  await view(long, 'Events');
  await given;
  ok(true, 'whoever leaves it behind ends it, too');
  slow.bytes = Infinity;
  await view(long, 'Proof');
  await long.getByRole('button', { name: 'Verify the chain' }).click();
  await long.getByText(/All 60,00\d events .* verified/).waitFor();
  ok(true, 'and run again');
  slow.close();

  const member = await visit.as('acme', 'bob');
  await view(member, 'Proof');
  await member.getByText('shown to admins').waitFor();
  ok(true, 'a member sees no holds');
};
